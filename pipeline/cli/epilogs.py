"""What `--help` shows below the options of a command; a test parses each example."""

from pipeline.graph.nodes import PIPELINE_NAME

EPILOGS = {  # by command
    "shiftvit": """examples:
  shiftvit run                                              train on the embedded images: minutes on a laptop
  shiftvit run --data photos                                train on your own: a folder for each class, or a CSV file
  shiftvit run --preset cifar10-cpu --data cifar-10-binary.tar.gz
  shiftvit tune --set tune.trials=12                        search only; a later run trains with the best trial
  shiftvit show                                             the latest run: configuration, lineage, metrics, anomalies
  shiftvit report                                           the same and more as an HTML page
  shiftvit compare 20261123-153012 20261123-160145          settings that differ, and the change in quality
  shiftvit predict photo.png                                classify an image with the pushed model
  shiftvit serve                                            the same over HTTP, and in a browser

`shiftvit COMMAND --help` has more. NO_COLOR=1 turns colours off; FORCE_COLOR=1 turns them on in a file or pipe.
""",
    "shiftvit run": """examples:
  shiftvit run
  shiftvit run --data photos                                photos/CLASS/IMAGE, photos/SPLIT/CLASS/IMAGE, or a CSV file
  shiftvit run --data photos --set data.image_size=128 --set train.epochs=80 --set train.class_weights=balanced
  shiftvit run --preset cifar10 --data tfds --workspace /data/cifar
  shiftvit run --preset cifar10-cpu --data cifar-10-batches-bin --set train.epochs=5 --set model.dims=64,128,256
  shiftvit run --config workspace/runs/20261123-153012/config.json
  shiftvit run --json > result.json                         the result for a script; progress stays on stderr
""",
    "shiftvit tune": """\
`shiftvit run` with the same configuration takes the search from the cache and trains with the best trial.

examples:
  shiftvit tune --set tune.trials=12
  shiftvit tune --preset cifar10-cpu --data cifar-10-binary.tar.gz --set tune.trials=20 --set tune.epochs=10
""",
    "shiftvit train": """\
To train on several machines, start the command on each of them with the same options and with the same
cluster in TF_CONFIG. The first worker shows progress and writes the model. If one worker dies, the others end too;
start the command again on all of them to resume after the last epoch.

examples:
  shiftvit train --records workspace/artifacts/ImageExampleGen/examples/1 --model model --state state
  TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}' \\
      shiftvit train --preset cifar10 --records /data/examples --model /data/model --state /data/state
""",
    "shiftvit data": """examples:
  shiftvit data                                             draws the embedded set
  shiftvit data --data photos                               classes, sizes, duplicates and samples of a folder
  shiftvit data --data labels.csv                           the same of a CSV file with the columns path and label
  shiftvit data --data cifar-10-python.tar.gz               checks every batch and label of an archive
  shiftvit data --data cifar-100-binary --set data.cifar100_labels=coarse
                                                            reads the 20 coarse classes of an unpacked folder
  shiftvit data --data tfds --json                          fetches CIFAR-10, and prints its checksum and counts
""",
    "shiftvit runs": """\
Runs without a value in the column to sort by come last.

examples:
  shiftvit runs
  shiftvit runs --sort top-1 --reverse                      best first
  shiftvit runs --json --workspace /data/cifar
""",
    "shiftvit report": """examples:
  shiftvit report                                           path of the latest run's report
  shiftvit report 20261123-153012 --json                    its contents as data
""",
    "shiftvit compare": """examples:
  shiftvit compare 20261123-153012 20261123-160145
  shiftvit compare 20261123-153012 20261123-160145 20261124-091500 --html compared.html
""",
    "shiftvit show": """examples:
  shiftvit show
  shiftvit show 20261123-153012 --json
""",
    "shiftvit versions": """examples:
  shiftvit versions
  shiftvit versions --json                                  `served` is true for the version that is served
""",
    "shiftvit predict": """examples:
  shiftvit predict photo.png
  shiftvit predict *.jpg --json
  shiftvit predict - < photo.png                            the standard input
  shiftvit predict photo.png --version 1795449784           an earlier version, as `shiftvit versions` lists it
""",
    "shiftvit rollback": """\
Copies the version under the next number, even if it has left the serving folder since it was pushed.
The serving folder keeps as many versions as after the last push (push.keep of its run).

examples:
  shiftvit rollback 1795449784
""",
    "shiftvit clean": """\
Lists what killed processes left, prepared data that no run used, and equal copies. What runs from the cache,
`show`, `compare`, `rollback` and `serve` need is never among it. Nothing is removed without --yes.

examples:
  shiftvit clean
  shiftvit clean --yes --workspace /data/cifar
""",
    "shiftvit serve": f"""\
Speaks TensorFlow Serving's REST API, runs concurrent requests as one batch, and switches without downtime
to a new version as soon as it is pushed. For production, TensorFlow Serving can read the same folder.

  /                                    a page to drop images on
  /v1/models/{PIPELINE_NAME}:predict          POST {{"instances": [{{"b64": "..."}}, ...]}}, or "inputs" for columns
  /v1/models/{PIPELINE_NAME}                  the versions and their state
  /v1/models/{PIPELINE_NAME}/metadata         the signatures
  /healthz                             200 while a version is served
  /metrics                             metrics for Prometheus

A request:
  curl localhost:8501/v1/models/{PIPELINE_NAME}:predict \\
      -d '{{"instances": [{{"b64": "'$(base64 -w0 photo.png)'"}}]}}'

examples:
  shiftvit serve
  shiftvit serve --workspace /data/cifar --host 0.0.0.0 --port 8501
  shiftvit serve --allow-origin https://example.org         pages of that origin may call it
""",
    "shiftvit bench": """examples:
  shiftvit bench                                            all benchmarks: about eight minutes
  shiftvit bench step --seconds 120
  shiftvit bench layers --preset cifar10-cpu --set train.precision=float32
""",
    "shiftvit completion": """examples:
  source <(shiftvit completion bash)                        in this shell; to keep it, add the line to ~/.bashrc
  source <(shiftvit completion zsh)                         likewise, in ~/.zshrc after compinit
  shiftvit completion fish > ~/.config/fish/completions/shiftvit.fish
""",
    "shiftvit kubeflow": """examples:
  shiftvit kubeflow compile -o shiftvit.yaml --preset cifar10 --data tfds --set kubeflow.image=registry/shiftvit:1 \\
      --set kubeflow.volumes=models:/serving
  shiftvit kubeflow rehearse shiftvit.yaml --set-parameter epochs=1
  shiftvit kubeflow submit shiftvit.yaml --host https://kubeflow.example.org/pipeline --wait
""",
    "shiftvit kubeflow compile": """examples:
  shiftvit kubeflow compile -o shiftvit.yaml --preset cifar10 --data tfds --set kubeflow.image=registry/shiftvit:1 \\
      --set kubeflow.volumes=models:/serving
  shiftvit kubeflow compile -o small.yaml --set kubeflow.image=registry/shiftvit:1 \\
      --set kubeflow.volumes=models:/serving --set kubeflow.steps.trainer.gpus=0 --set kubeflow.steps.tuner.gpus=0
""",
    "shiftvit kubeflow rehearse": """examples:
  shiftvit kubeflow rehearse shiftvit.yaml
  shiftvit kubeflow rehearse shiftvit.yaml --set-parameter epochs=1 --folder /tmp/rehearsal
""",
    "shiftvit kubeflow submit": """examples:
  shiftvit kubeflow submit shiftvit.yaml --host https://kubeflow.example.org/pipeline
  shiftvit kubeflow submit shiftvit.yaml --host https://kubeflow.example.org/pipeline --set-parameter epochs=20 --wait
""",
    "shiftvit kubeflow worker-job": """examples:
  shiftvit kubeflow worker-job -o job.yaml --workers 4 --image registry.example.org/shiftvit:1 --preset cifar10 \\
      --records /data/examples --model /data/model --state /data/state --set kubeflow.volumes=datasets:/data
""",
}
