"""Says what a checkpoint was made from: the data it learned from, and the stages from the first weights on."""
