"""Loops that are recurrent layers: found by what their steps compute, and put as ONNX's LSTM, GRU and RNN."""
