"""Why the gates refused a model."""

from collections.abc import Sequence

from components.canary import report as canary
from components.evaluator.explain import explain


def reasons(evaluation_uri: str, canary_uri: str, class_names: Sequence[str]) -> list[str]:
    """Returns a sentence for each failed check; empty if the model is blessed.

    Args:
        evaluation_uri: of the Evaluator's `evaluation`.
        canary_uri: of the Canary's `blessing`.
        class_names: of the data.
    """
    verdict = canary.read_report(canary_uri)
    return [*explain(evaluation_uri, class_names), *([] if verdict.passed else [verdict.reason])]
