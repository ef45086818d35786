"""Models and heads as ONNX files."""
