"""A component that the project does not know, and the graph with a node of it."""

from pathlib import Path

from tfx import v1 as tfx

from pipeline.graph import dag
from pipeline.graph.nodes import Node


@tfx.dsl.components.component
def Weigh(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
) -> tfx.dsl.components.OutputDict(megabytes=float):
    return {"megabytes": sum(file.stat().st_size for file in Path(model.uri).rglob("*") if file.is_file()) / 1e6}


def add_weigh(monkeypatch):
    """Adds the node Weigh to every graph made from now on."""
    make_nodes = dag.make_nodes

    def make_nodes_and_weigh(*arguments):
        nodes = make_nodes(*arguments)
        (trainer,) = (node for node in nodes if node.id == Node.TRAINER)
        return [*nodes, Weigh(model=trainer.outputs["model"])]

    monkeypatch.setattr(dag, "make_nodes", make_nodes_and_weigh)
