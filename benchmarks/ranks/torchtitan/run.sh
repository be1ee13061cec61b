#!/bin/sh
# torchtitan's own train.py as rank 0 of eight H100s, virtually: the first table of its benchmarks of December 2024.
#
#   sh benchmarks/ranks/torchtitan/run.sh TITAN PYTHON [options of torchtitan]
#
# TITAN: its sources at 9dec370; PYTHON: one that has what README.md names. Its own last lines say the memory,
# `memory: 82.38GiB`, the most that PyTorch reserved on the card since the step before.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
titan=$1 python=$2
shift 2
python3 "$here/stand_ins.py" "$titan"
cd "$titan"
unset PYTORCH_CUDA_ALLOC_CONF # the table was made without expandable segments, see README.md
exec nanocheck run --gpu 8xh100-96gb --gpus "$here/h100-96gb.toml" --ranks 0 -- \
    "$python" -m torch.distributed.run --standalone --nproc_per_node=8 --local-ranks-filter 0 --role rank --tee 3 \
    train.py --job.config_file ./train_configs/llama3_8b.toml --training.batch_size 2 \
    --training.dataset c4_test --metrics.log_freq 1 "$@"
