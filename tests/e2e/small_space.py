"""A search space that no preset's setting lies in, so that it shows which setting a model was trained with."""


def declare(hp, experiment):
    hp.Choice("train.learning_rate", [0.0031, 0.0032])
