"""The keys of a config file and of a contender: names, defaults, meanings."""

from __future__ import annotations

from msmtrec.base.explain import Setting

SEEDS, JOBS = 3, 1
TOP = (
    Setting("name", "the file's name", "What the run and its folder in runs/ are called."),
    Setting("data", "required", "Which logs: source, and what the source asks for."),
    Setting("model", "{}", "The network of every contender; its own `model` goes first."),
    Setting("train", "required", "Rounds and local training of every contender; its own `train` goes first."),
    Setting("fine_tune", "false", "Fine-tune every contender but pooled ones: true, or a group of settings."),
    Setting(
        "statistics",
        "false",
        "What every contender's rows read of their ids in earlier training rows: true, or a group of settings.",
    ),
    Setting("methods", "required", "The contenders: a list of methods, or a mapping name -> settings."),
    Setting(
        "tune",
        "{}",
        "The grid: key -> values to try, such as train.learning_rate: [0.001, 0.003], or a group -> groups that set the"
        " same keys, such as train: [{local_steps: 30}, {local_epochs: 1}]. Keys of train and model; of options,"
        " fine_tune and statistics where every contender has them. All combinations are trained; validation chooses"
        " one.",
    ),
    Setting(
        "tune_candidates",
        "size of the common grid",
        "At most so many candidates for each contender: what a grid of its own may grow to.",
    ),
    Setting(
        "bench",
        "null",
        "Only for `msmtrec bench`, in place of tune and seeds: how many candidates and seeds every contender has.",
    ),
    Setting(
        "ablate",
        "null",
        "Only for `msmtrec ablate`: which contender is changed in one place at a time, and in which places.",
    ),
    Setting(
        "expected", "null", "Figures of others that are printed beside those of the run: source, tolerance, figures."
    ),
    Setting("start", "null", "A finished run that training goes on from; `msmtrec continue` writes such a config."),
    Setting("seeds", str(SEEDS), "One federation for each: a count, or a list of integers."),
    Setting("jobs", str(JOBS), "Contenders that train at the same time, each with its share of the cores."),
)
"""The keys of a config file."""
CONTENDER = (
    Setting("method", "its name", "Which method; see `msmtrec list methods`."),
    Setting("preset", "null", "Options by name; the contender's own `options` go first."),
    Setting("options", "{}", "The method's options."),
    Setting("model", "{}", "As above, for this contender alone."),
    Setting("train", "{}", "As above, for this contender alone."),
    Setting(
        "fine_tune",
        "as above",
        "true, false or a group of settings. One training gives two columns: NAME, each scenario's best round, and"
        " NAME+ft, fine-tuned from there.",
    ),
    Setting("statistics", "as above", "true, false or a group of settings, for this contender alone."),
    Setting(
        "tune",
        "{}",
        "A grid of its own, joined with the common one; its keys replace common ones of the same name. Keys of train,"
        " model, options, fine_tune and statistics.",
    ),
    Setting(
        "space",
        "{}",
        "Only for `msmtrec bench`: what this contender alone tries, in the form of bench.space, and in its place.",
    ),
)
"""The keys of a contender."""
