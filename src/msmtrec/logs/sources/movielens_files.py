"""Form -> the files of a MovieLens release: ratings, users, films."""

from __future__ import annotations

ML_1M = {
    "original": ("ratings.dat", "users.dat", "movies.dat"),
    "wheel": ("ml-1m.inter", "ml-1m.user", "ml-1m.item"),
}
ML_100K = {
    "original": ("u.data", "u.user", "u.item"),
    "wheel": ("ml-100k.inter", "ml-100k.user", "ml-100k.item"),
}
