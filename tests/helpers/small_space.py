"""A search space outside every preset's settings, so that a model shows whether it was trained with a found one."""


def declare(hp, experiment):
    hp.Choice("train.learning_rate", [0.0031, 0.0032])
