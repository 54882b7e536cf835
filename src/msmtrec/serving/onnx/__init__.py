"""A predictor as one ONNX graph: raw columns in, probabilities out."""
