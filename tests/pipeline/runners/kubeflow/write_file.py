"""The executor of a step in the tests."""

from pathlib import Path

from tfx.dsl.components.base.base_executor import BaseExecutor


class WriteFile(BaseExecutor):
    """Writes a file to the folder of its output, which it expects to exist."""

    def Do(self, input_dict, output_dict, exec_properties):
        (model,) = output_dict["model"]
        Path(model.uri, "weights").write_text(exec_properties["text"])
        model.set_string_custom_property("made_in", model.uri)
