"""Fine-tune self-supervised speech encoders for emotion recognition, and report honestly how well they do."""
