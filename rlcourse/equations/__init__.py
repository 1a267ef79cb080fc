"""One pure function per equation of the lectures: tensors in, tensors out."""
