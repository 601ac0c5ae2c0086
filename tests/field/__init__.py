"""What people brought: small files of whole kinds that once failed, with TensorFlow's outputs at inference."""
