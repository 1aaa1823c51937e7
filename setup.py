"""Packages, dependencies and the `shiftvit` command. Beam workers install the project from this file too."""

import sys

from setuptools import find_packages, setup

PACKAGES = ("charts", "shiftvit", "benchmarks", "tuner", "components", "pipeline")

REQUIREMENTS = [
    # The classic stack.
    "tfx==1.15.1; python_version < '3.11'",
    "tensorflow==2.15.1; python_version < '3.11'",
    "tensorflow-addons==0.23.0; python_version < '3.11'",
    "kfp-pipeline-spec>=0.1.16,<0.2; python_version < '3.11'",  # as tfx[kfp] has it
    # The current stack.
    "tfx~=1.21.0; python_version >= '3.11'",
    "tensorflow~=2.21.0; python_version >= '3.11'",
    "tf-keras~=2.21.0; python_version >= '3.11'",
    "ai-edge-litert~=2.1; python_version >= '3.11'",  # runs TFLite files
    "tensorboard~=2.20; python_version >= '3.11'",  # tensorflow no longer brings it
    "importlib-resources; python_version >= '3.11'",  # tensorflow-datasets imports it
    "kfp-pipeline-spec~=2.17; python_version >= '3.11'",  # tfx[kfp] ends at Python 3.11
    "backports-strenum<1.3; python_version >= '3.11'",  # uv would lock a later one, which pip refuses
    # Both.
    "tensorflow-datasets~=4.9",
    "keras-tuner~=1.4",
    "apache-beam~=2.74",
    "dill",  # tfx imports it, apache-beam no longer brings it
    "scikit-learn",  # of KerasTuner's Bayesian search
    "google-crc32c",  # checksums of TFRecord files
    "requests",
    "kubernetes",
    "pyyaml",
    "setuptools<82",  # the last that has pkg_resources
    "pillow",
    "rich",
    "aiohttp~=3.14",
    "prometheus-client~=0.26",
    "argcomplete~=3.6",  # completion in shells
]

setup(
    name="shiftvit-pipeline",
    version="0.1.0",
    description="A training pipeline for image classification with ShiftViT: TFX, TensorFlow, KerasTuner, Beam",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=[f"{name}{sub}" for name in PACKAGES for sub in ("", ".*")]),
    py_modules=["shiftvit_pipeline"],
    package_data={name: ["py.typed"] for name in PACKAGES} | {"pipeline": ["py.typed", "serving/*.html"]},
    entry_points={"console_scripts": ["shiftvit = shiftvit_pipeline:main"]},
    # None for other Pythons: old versions of pip read `python_requires` last, and complain of some package first.
    install_requires=REQUIREMENTS if (3, 10) <= sys.version_info < (3, 14) else [],
    extras_require={
        "dev": ["mypy", "pytest", "pytest-xdist", "ruff", "types-PyYAML", "types-requests", "uv"],
        "dask": ["apache-beam[dask]~=2.74"],
        "gpu": [
            "tensorflow[and-cuda]==2.15.1; python_version < '3.11'",
            "tensorflow[and-cuda]~=2.21.0; python_version >= '3.11'",
        ],
    },
)
