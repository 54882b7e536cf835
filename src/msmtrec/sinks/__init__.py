"""Where a run's events go besides the terminal: a log of JSON lines, TensorBoard, MLflow.

Each sink is an observer for `msmtrec.run(..., observer=...)`; `shared.Shared` hands events to several.
"""
