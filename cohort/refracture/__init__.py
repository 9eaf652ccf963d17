"""Which vertebra broke, in relation to those treated before it."""
