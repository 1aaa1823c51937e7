"""Examples that `--help` shows below the options of a command; a test parses each of them."""

SHIFTVIT = """examples:
  shiftvit run                                              train on the embedded images: minutes on a laptop
  shiftvit run --preset cifar10-cpu --data cifar-10-binary.tar.gz
  shiftvit tune --set tune.trials=12                        search only; a later run trains with the best trial
  shiftvit show                                             the latest run: configuration, lineage, metrics, anomalies
  shiftvit report                                           the same and more as an HTML page
  shiftvit compare 20261123-153012 20261123-160145          settings that differ, and the change in quality
  shiftvit predict photo.png                                classify an image with the pushed model
  shiftvit serve                                            the same over HTTP, and in a browser

`shiftvit COMMAND --help` has more. NO_COLOR=1 turns colours off; FORCE_COLOR=1 turns them on in a file or pipe.
"""
RUN = """examples:
  shiftvit run
  shiftvit run --preset cifar10 --data tfds --workspace /data/cifar
  shiftvit run --preset cifar10-cpu --data cifar-10-batches-bin --set train.epochs=5 --set model.dims=64,128,256
  shiftvit run --config workspace/runs/20261123-153012/config.json
  shiftvit run --json > result.json                         the result for a script; progress stays on stderr
"""
TUNE = """`shiftvit run` with the same configuration takes the search from the cache and trains with the best trial.

examples:
  shiftvit tune --set tune.trials=12
  shiftvit tune --preset cifar10-cpu --data cifar-10-binary.tar.gz --set tune.trials=20 --set tune.epochs=10
"""
DATA = """examples:
  shiftvit data                                             draws the embedded set
  shiftvit data --data cifar-10-python.tar.gz               checks every batch and label of an archive
  shiftvit data --data tfds --json                          fetches CIFAR-10, and prints its checksum and counts
"""
RUNS = """Runs without a value in the column to sort by come last.

examples:
  shiftvit runs
  shiftvit runs --sort top-1 --reverse                      best first
  shiftvit runs --json --workspace /data/cifar
"""
REPORT = """examples:
  shiftvit report                                           path of the latest run's report
  shiftvit report 20261123-153012 --json                    its contents as data
"""
COMPARE = """examples:
  shiftvit compare 20261123-153012 20261123-160145
  shiftvit compare 20261123-153012 20261123-160145 20261124-091500 --html compared.html
"""
SHOW = """examples:
  shiftvit show
  shiftvit show 20261123-153012 --json
"""
VERSIONS = """examples:
  shiftvit versions
  shiftvit versions --json                                  `served` is true for the version that is served
"""
PREDICT = """examples:
  shiftvit predict photo.png
  shiftvit predict *.jpg --json
  shiftvit predict photo.png --version 1795449784           an earlier version, as `shiftvit versions` lists it
"""
ROLLBACK = """Copies the version under the next number, even if it has left the serving folder since it was pushed.
The serving folder keeps as many versions as after the last push (push.keep of its run).

examples:
  shiftvit rollback 1795449784
"""
BENCH = """examples:
  shiftvit bench                                            all benchmarks: about eight minutes
  shiftvit bench step --seconds 120
  shiftvit bench layers --preset cifar10-cpu --set train.precision=float32
"""
COMPLETION = """examples:
  source <(shiftvit completion bash)                        in this shell; to keep it, add the line to ~/.bashrc
  source <(shiftvit completion zsh)                         likewise, in ~/.zshrc after compinit
  shiftvit completion fish > ~/.config/fish/completions/shiftvit.fish
"""
KUBEFLOW = """examples:
  shiftvit kubeflow compile -o shiftvit.yaml --preset cifar10 --data tfds --set kubeflow.image=registry/shiftvit:1 \\
      --set kubeflow.volumes=models:/serving
  shiftvit kubeflow rehearse shiftvit.yaml --set-parameter epochs=1
  shiftvit kubeflow submit shiftvit.yaml --host https://kubeflow.example.org/pipeline --wait
"""
KUBEFLOW_COMPILE = """examples:
  shiftvit kubeflow compile -o shiftvit.yaml --preset cifar10 --data tfds --set kubeflow.image=registry/shiftvit:1 \\
      --set kubeflow.volumes=models:/serving
  shiftvit kubeflow compile -o small.yaml --set kubeflow.image=registry/shiftvit:1 \\
      --set kubeflow.volumes=models:/serving --set kubeflow.steps.trainer.gpus=0 --set kubeflow.steps.tuner.gpus=0
"""
KUBEFLOW_REHEARSE = """examples:
  shiftvit kubeflow rehearse shiftvit.yaml
  shiftvit kubeflow rehearse shiftvit.yaml --set-parameter epochs=1 --folder /tmp/rehearsal
"""
KUBEFLOW_SUBMIT = """examples:
  shiftvit kubeflow submit shiftvit.yaml --host https://kubeflow.example.org/pipeline
  shiftvit kubeflow submit shiftvit.yaml --host https://kubeflow.example.org/pipeline --set-parameter epochs=20 --wait
"""
KUBEFLOW_WORKER_JOB = """examples:
  shiftvit kubeflow worker-job -o job.yaml --workers 4 --image registry.example.org/shiftvit:1 --preset cifar10 \\
      --records /data/examples --model /data/model --state /data/state --set kubeflow.volumes=datasets:/data
"""
