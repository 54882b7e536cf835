"""`msmtrec serve`: scores of a finished run over HTTP, by onnxruntime on the exported graphs."""
