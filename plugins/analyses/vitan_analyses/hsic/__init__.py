"""Linear CKA and its HSIC: exact, and from minibatches."""
