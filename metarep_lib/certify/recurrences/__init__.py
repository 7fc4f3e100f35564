"""What a network is certified against: dual, primal, softmax. Import from those."""
