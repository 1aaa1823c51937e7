"""What runs a TFLite file: LiteRT, or on the classic stack, which is older than that, TensorFlow's own interpreter."""

from shiftvit.stack import CLASSIC, STACK

if STACK == CLASSIC:
    from tensorflow.lite.python.interpreter import Interpreter
else:
    from ai_edge_litert.interpreter import Interpreter

__all__ = ["Interpreter"]
