"use strict";
// What the page can do beyond being read: values under the pointer, CSV files, another contender, sorting, searching.
// Everything from the run is put in as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, text = "", kind = "") => {
    const found = document.createElement(tag);
    found.textContent = text;
    if (kind) found.className = kind;
    return found;
  };
  const known = (value) => typeof value === "number";
  const signed = (value) => (value < 0 ? "-" : "+") + Math.abs(value).toFixed(2);
  const pText = (p) => (!known(p) ? "–" : p < 0.001 ? "<.001" : p.toFixed(3).replace(/^0/, ""));
  const many = (value) => value.toLocaleString("en");
  const plain = (value) => (known(value) ? String(Number(value.toPrecision(5))) : (value ?? "–"));

  // --- values of a figure, by pointer, touch or arrow keys
  const show = (figure, row, at) => {
    const numbers = data.figures[figure.dataset.figure];
    const lines = numbers.at ? numbers.columns.slice(1).map((name, n) => [name, numbers.rows[row][n + 1]]) : [];
    tip.replaceChildren();
    if (numbers.at) {
      tip.append(make("p", `${numbers.columns[0]} ${numbers.rows[row][0]}`));
      for (const [name, value] of lines.filter((line) => known(line[1])).sort((a, b) => b[1] - a[1])) {
        const line = make("div");
        const left = make("span");
        if (numbers.kinds[name]) left.append(make("i", "", "swatch " + numbers.kinds[name]));
        left.append(name);
        line.append(left, make("b", plain(value)));
        tip.append(line);
      }
    } else {
      numbers.columns.forEach((name, n) => {
        const line = make("div");
        line.append(make("span", name), make("b", plain(numbers.rows[row][n])));
        tip.append(line);
      });
    }
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(at.x + 16, innerWidth - box.width - 8))}px`;
    const below = at.y + 18 + box.height < innerHeight;
    tip.style.top = `${Math.max(8, below ? at.y + 18 : at.y - box.height - 14)}px`;
  };
  for (const figure of all("[data-figure]")) {
    const numbers = data.figures[figure.dataset.figure];
    const draw = figure.querySelector(".draw");
    const svg = draw.querySelector("svg");
    const marks = all(".m", svg);
    const wide = svg.viewBox.baseVal;
    const square = Math.sqrt(marks.length) % 1 === 0 && numbers.columns[0] === "row" ? Math.sqrt(marks.length) : 1;
    let row = -1;
    const clear = () => {
      if (row >= 0) tip.hidden = true;
      row = -1;
      all(".on.m, .cursor", svg).forEach((e) => (e.matches(".cursor") ? e.remove() : e.classList.remove("on")));
    };
    const go = (next, at) => {
      clear();
      row = Math.max(0, Math.min(next, numbers.rows.length - 1));
      const box = svg.getBoundingClientRect();
      let spot = at;
      if (numbers.at) {
        const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
        cursor.setAttribute("d", `M${numbers.at[row]} 16V${wide.height - 34}`);
        cursor.setAttribute("class", "cursor");
        svg.append(cursor);
        spot ??= { x: box.left + (numbers.at[row] / wide.width) * box.width, y: box.top + box.height * 0.6 };
      } else if (marks[row]) {
        marks[row].classList.add("on");
        const mark = marks[row].getBoundingClientRect();
        spot ??= { x: mark.right, y: mark.bottom };
      }
      show(figure, row, spot);
    };
    const look = (e) => {
      const at = { x: e.clientX, y: e.clientY };
      if (numbers.at) {
        const box = svg.getBoundingClientRect();
        const x = ((e.clientX - box.left) / box.width) * wide.width;
        const near = numbers.at.reduce((best, v, n) => (Math.abs(v - x) < Math.abs(numbers.at[best] - x) ? n : best), 0);
        go(near, at);
      } else {
        const n = marks.indexOf(e.target);
        if (n >= 0) go(n, at);
        else clear();
      }
    };
    draw.addEventListener("pointermove", look);
    draw.addEventListener("pointerdown", look);
    draw.addEventListener("pointerleave", (e) => e.pointerType === "mouse" && clear()); // a finger has left when it is up
    document.addEventListener("pointerdown", (e) => row >= 0 && !draw.contains(e.target) && clear());
    draw.addEventListener("blur", clear);
    draw.addEventListener("keydown", (e) => {
      const start = row < 0;
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: square, ArrowUp: -square }[e.key];
      if (e.key === "Escape") clear();
      else if (e.key === "Home") go(0);
      else if (e.key === "End") go(numbers.rows.length - 1);
      else if (step) go(start ? 0 : row + step);
      else return;
      e.preventDefault();
    });
  }

  // --- files
  const guarded = (value) => {
    if (value === null || value === undefined) return "";
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text; // no formula in a spreadsheet
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const bare = (label) => [label[0], label[1].replace(/ †$/, "")];
  const tableRows = (kind) => {
    const { labels, support, cells } = data.table;
    const names = Object.keys(cells);
    if (kind === "@auc") {
      const heads = ["scenario", "task", "test rows", "positives", ...names.flatMap((n) => [n, `${n} sd`])];
      const rows = labels.map((label, n) => [
        ...bare(label), ...(support[n] ?? [null, null]).slice(0, 2), ...names.flatMap((name) => cells[name][n].slice(0, 2)),
      ]);
      return { columns: heads, rows };
    }
    const heads = ["scenario", "task", "contender", "auc", "difference", "low", "high", "p", "untested"];
    const rows = names
      .filter((name) => name !== data.table.reference)
      .flatMap((name) => labels.map((label, n) => {
        const c = cells[name][n];
        return [...bare(label), name, c[0], c[2], c[3], c[4], c[5], c[7]];
      }));
    return { columns: heads, rows };
  };
  const csv = (key) => {
    const { columns, rows } = key.startsWith("@") ? tableRows(key) : data.figures[key];
    return [columns, ...rows].map((row) => row.map(guarded).join(",")).join("\n") + "\n";
  };
  for (const button of all("[data-save]")) {
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(["\ufeff", csv(button.dataset.save)], { type: "text/csv" }));
      link.download = `${button.dataset.save.replace("@", "")}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

  // --- the headline for another contender
  const head = (label) => {
    const found = make("th");
    found.scope = "row";
    found.append(make("bdi", label[0]));
    if (label[1]) found.append(make("small", label[1]));
    return found;
  };
  const points = (cell) => (known(cell[2]) ? signed(100 * cell[2]) : "–");
  const span = (cell) => (cell[7] ? cell[7] : `${signed(100 * cell[3])} … ${signed(100 * cell[4])}`);
  const auc = (value) => (known(value) ? value.toFixed(4) : "–");
  const picture = (cell, low, high) => {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    const x = (value) => 4 + (142 * (value - low)) / (high - low || 1);
    const part = (tag, values) => {
      const found = document.createElementNS(ns, tag);
      Object.entries(values).forEach(([name, value]) => found.setAttribute(name, value));
      svg.append(found);
    };
    svg.setAttribute("viewBox", "0 0 150 20");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${points(cell)} points, ${span(cell)}`);
    part("path", { d: `M${x(0)} 0V20`, class: "zero" });
    part("rect", { x: x(cell[3]), y: 7.5, width: Math.max(x(cell[4]) - x(cell[3]), 1), height: 5, class: `span ${cell[6]}` });
    part("circle", { cx: x(cell[2]), cy: 10, r: 3.6, class: `point ${cell[6]}` });
    return svg;
  };
  const who = document.getElementById("who");
  who?.addEventListener("change", () => {
    const { labels, cells, reference } = data.table;
    const own = cells[who.value];
    const rows = all("#headline tbody tr");
    const tested = rows.map((row) => own[row.dataset.line]).filter((cell) => !cell[7] && known(cell[3]));
    const low = Math.min(0, ...tested.map((cell) => cell[3]));
    const high = Math.max(0, ...tested.map((cell) => cell[4]));
    for (const row of rows) {
      const n = Number(row.dataset.line);
      const cell = own[n];
      const drawn = make("td", "", "left picture");
      if (!cell[7]) drawn.append(picture(cell, low, high));
      drawn.append(make("small", span(cell)));
      row.replaceChildren(head(labels[n]), make("td", points(cell), `big ${cell[6] ?? ""}`), drawn,
        make("td", cell[7] ? "" : pText(cell[5])), make("td", auc(cells[reference][n][0])), make("td", auc(cell[0])));
    }
    document.getElementById("whose").textContent = who.value;
  });
  document.getElementById("more-lines")?.addEventListener("click", (e) => {
    all("#headline tr[hidden]").forEach((row) => (row.hidden = false));
    e.target.remove();
  });

  // --- tables of all lines: search, sort, more
  const START = 60, STEP = 200;
  for (const table of all("table[data-table]")) {
    const kind = table.dataset.table;
    const { labels, support, cells, reference } = data.table;
    const names = Object.keys(cells).filter((name) => kind === "auc" || name !== reference);
    const value = kind === "auc" ? 0 : 2;
    const last = labels.length - 1;
    const state = { by: null, down: false, words: "", most: START };
    const search = document.querySelector(`[data-find="${kind}"]`);
    const count = document.querySelector(`[data-count="${kind}"]`);
    const more = document.querySelector(`[data-more="${kind}"]`);
    const line = (n) => {
      const row = make("tr", "", n === last ? "total" : "");
      const size = make("td", support[n] ? many(support[n][0]) : "");
      if (support[n]) size.append(make("small", many(support[n][1])));
      row.append(head(labels[n]), size);
      const best = Math.max(...names.map((name) => cells[name][n][0]).filter(known));
      for (const name of names) {
        const cell = cells[name][n];
        if (kind === "auc") {
          const found = make("td", auc(cell[0]), cell[0] === best ? "best" : "");
          found.append(make("small", `± ${auc(cell[1])}`));
          row.append(found);
        } else {
          const found = make("td", points(cell), cell[6]);
          if (!cell[7]) found.append(" ", make("span", `p ${pText(cell[5])}`, "soft"));
          found.append(make("small", span(cell)));
          row.append(found);
        }
      }
      return row;
    };
    const key = (n) => (state.by === 1 ? support[n][0] : cells[names[state.by - 2]][n][value]);
    const order = (a, b) => {
      if (state.by === 0) return labels[a].join(" ").localeCompare(labels[b].join(" "), undefined, { numeric: true });
      const [one, two] = [key(a), key(b)];
      return known(one) && known(two) ? one - two : known(one) ? -1 : known(two) ? 1 : 0;
    };
    const draw = () => {
      let found = labels.slice(0, -1).map((_, n) => n);
      if (state.words) found = found.filter((n) => labels[n].join(" ").toLowerCase().includes(state.words));
      if (state.by !== null) {
        found.sort(order);
        if (state.down) found.reverse();
      }
      table.tBodies[0].replaceChildren(...found.slice(0, state.most).map(line), line(last));
      count.textContent = `${many(Math.min(found.length, state.most))} of ${many(found.length)} lines` + (state.words ? " found" : "");
      more.hidden = found.length <= state.most;
    };
    search.addEventListener("input", () => {
      state.words = search.value.trim().toLowerCase();
      state.most = START;
      draw();
    });
    more.addEventListener("click", () => {
      state.most += STEP;
      draw();
    });
    for (const button of all("button[data-sort]", table)) {
      button.addEventListener("click", () => {
        const by = Number(button.dataset.by);
        const first = by > 0;
        if (state.by !== by) Object.assign(state, { by, down: first });
        else if (state.down === first) state.down = !first;
        else state.by = null;
        for (const cell of all("thead th", table)) cell.removeAttribute("aria-sort");
        if (state.by !== null) button.closest("th").setAttribute("aria-sort", state.down ? "descending" : "ascending");
        draw();
      });
    }
    draw();
  }

  // --- lines on and off, hints, print
  for (const box of all("input[data-series]")) {
    box.addEventListener("change", () => {
      for (const line of all(`.draw .${box.dataset.series}`)) line.classList.toggle("off", !box.checked);
    });
  }
  for (const scroll of all(".scroll")) {
    const look = () => {
      const rest = scroll.scrollWidth - scroll.clientWidth - scroll.scrollLeft;
      scroll.parentElement.classList.toggle("more", rest > 4);
    };
    scroll.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(scroll);
    look();
  }
  addEventListener("beforeprint", () => all("details").forEach((d) => (d.open = true)));
})();
