"""Every private name of PyTorch that nanocheck leans on: where, for what, and what must not have changed.

Private names move without a word. ``tests/observe/test_private_names_of_torch.py`` looks each one up in the
installed torch, names those that changed, and finds those that are used and not listed here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PrivateName:
    """One name.

    Attributes:
        name: as one would write it after ``import torch``.
        files: under nanocheck/, that use it. purpose: for what.
        parameters: that are passed by name, where it is a Python function.
    """

    name: str
    files: tuple[str, ...]
    purpose: str
    parameters: tuple[str, ...] = ()


PRIVATE_NAMES = (
    PrivateName(
        name="torch._C._cuda_attach_out_of_memory_observer",
        files=("measuring/step_worker.py", "observe/process_observer.py"),
        purpose="what was asked for when the allocator gave up, and who held the memory",
    ),
    PrivateName(
        name="torch._C._cuda_memorySnapshot",
        files=("observe/allocator_history.py",),
        purpose="the allocator's events",
    ),
    PrivateName(
        name="torch._C._cuda_memoryStats",
        files=("observe/allocator_history.py",),
        purpose="counts of the allocator, without initialising CUDA",
    ),
    PrivateName(
        name="torch._C._cuda_clearCublasWorkspaces",
        files=("observe/workspaces.py",),
        purpose="which blocks are cuBLAS's workspaces: those that go when they are cleared",
    ),
    PrivateName(
        name="torch.nn.init._no_grad_trunc_normal_",
        files=("observe/values/drawn_again.py",),
        purpose="that it is its loop which asks whether anything fell outside",
        parameters=("tensor", "mean", "std", "a", "b"),
    ),
    PrivateName(
        name="torch._C._distributed_c10d.Reducer",
        files=("observe/distributed/bucket_order.py",),
        purpose="when DDP takes the order of its buckets from rank 0, which may be left out",
    ),
    PrivateName(
        name="torch._C._distributed_c10d._SymmetricMemory",
        files=("observe/distributed/symmetric_memory.py",),
        purpose="ranks that hand each other their memory, of which some are left out",
    ),
    PrivateName(
        name="torch.distributed.optim.ZeroRedundancyOptimizer._partition_parameters",
        files=("step/sharding/recipe.py",),
        purpose="which parameters' state a rank keeps: rank 0 takes the largest part",
    ),
    PrivateName(
        name="torch._C._len_torch_dispatch_stack",
        files=("observe/phase_hooks.py",),
        purpose="whether anybody traces: then nothing is marked",
    ),
    PrivateName(
        name="torch._C.DispatchKey",
        files=("observe/values/real_kernels.py",),
        purpose="PyTorch's own kernels, behind those that know values",
    ),
    PrivateName(
        name="torch._C.DispatchKeySet",
        files=("observe/values/real_kernels.py",),
        purpose="PyTorch's own kernels, behind those that know values",
    ),
    PrivateName(
        name="torch._C._dynamo.eval_frame._FrameAction.SKIP",
        files=("observe/values/real_kernels.py",),
        purpose="Dynamo must not follow what stands before PyTorch's kernels",
    ),
    PrivateName(
        name="torch._C._dynamo.eval_frame._FrameExecStrategy",
        files=("observe/values/real_kernels.py",),
        purpose="Dynamo must not follow what stands before PyTorch's kernels",
    ),
    PrivateName(
        name="torch._C._dynamo.eval_frame.set_code_exec_strategy",
        files=("observe/values/real_kernels.py",),
        purpose="Dynamo must not follow what stands before PyTorch's kernels",
    ),
    PrivateName(
        name="torch._C._dispatch_has_kernel",
        files=("observe/values/overriding.py",),
        purpose="which overloads of an operator are no more than TorchScript's",
    ),
    PrivateName(
        name="torch._C._dispatch_has_kernel_for_dispatch_key",
        files=("observe/values/overriding.py",),
        purpose="which overloads of an operator have a CUDA kernel of their own",
    ),
    PrivateName(
        name="torch._C._dispatch_get_registrations_for_dispatch_key",
        files=("observe/recording/operator_facts.py",),
        purpose="which operators launch kernels of their own",
    ),
    PrivateName(
        name="torch.utils.data.dataloader._BaseDataLoaderIter",
        files=("observe/recording/host_clock.py",),
        purpose="how long a script waits for its DataLoader",
    ),
    PrivateName(
        name="torch.ops.aten._local_scalar_dense.default",
        files=("observe/placeholder_values.py",),
        purpose="what item() calls",
    ),
    PrivateName(
        name="torch.cuda._lazy_call",
        files=("observe/process_observer.py",),
        purpose="to begin when CUDA is initialised, and never to initialise it",
    ),
    PrivateName(
        name="torch.cuda.memory._record_memory_history",
        files=("observe/allocator_history.py",),
        purpose="to record the allocator's events with their stacks",
        parameters=("enabled",),
    ),
    PrivateName(
        name="torch.cuda.memory._record_memory_history_impl",
        files=("observe/allocator_history.py",),
        purpose="whether a recording can be cleared without a gap",
        parameters=("context", "stacks"),
    ),
    PrivateName(
        name="torch.autograd._engine_run_backward",
        files=("observe/direct_backward.py", "observe/loss_flow.py", "observe/phase_hooks.py"),
        purpose="where a backward begins and ends, and what it begins at",
    ),
    PrivateName(
        name="torch.autograd.Variable._execution_engine",
        files=("observe/direct_backward.py",),
        purpose="to see a backward that asks the engine itself",
    ),
    PrivateName(
        name="torch.autograd.graph.Node._input_metadata",
        files=("observe/loss_graph.py",),
        purpose="shape and type of what the operator of a node made",
    ),
    PrivateName(
        name="torch.autograd.graph.Node._sequence_nr",
        files=("observe/loss_graph.py",),
        purpose="in which order operators ran",
    ),
    PrivateName(
        name="torch.utils._python_dispatch._get_current_dispatch_mode_stack",
        files=("observe/phase_hooks.py",),
        purpose="whether a fake mode is on: then nothing is marked",
    ),
    PrivateName(
        name="torch._TorchCompileInductorWrapper",
        files=("observe/graph_lines.py",),
        purpose="which lines of the script a compiled graph comes from",
    ),
    PrivateName(
        name="torch._inductor.codecache.FxGraphCachePickler.dumps",
        files=("observe/shared_graphs.py",),
        purpose="what a graph's hash is of: a rank's own card is left out of it",
    ),
    PrivateName(
        name="torch._inductor.codecache.FxGraphCache.find_guarded_entry",
        files=("observe/shared_graphs.py",),
        purpose="what another rank wrote is read for this rank's card",
    ),
    PrivateName(
        name="torch._inductor.codecache.FxGraphCache.load_with_key",
        files=("observe/shared_graphs.py",),
        purpose="a rank waits for another that compiles the same graph",
    ),
    PrivateName(
        name="torch._inductor.codecache.FxGraphCache._save_graph",
        files=("observe/shared_graphs.py",),
        purpose="and until it is on disk",
    ),
    PrivateName(
        name="torch._inductor.codecache.PyCodeCache.linemaps",
        files=("observe/cached_lines.py",),
        purpose="the tracebacks that came with cached code, which name the lines of another time",
    ),
    PrivateName(
        name="torch._inductor.codecache.PyCodeCache.stack_frames_for_code",
        files=("observe/cached_lines.py",),
        purpose="they are renewed before PyTorch puts them into a stack",
    ),
    PrivateName(
        name="torch._inductor.codecache.code_hash",
        files=("observe/shared_graphs.py",),
        purpose="the name of the file with what was read for this card",
    ),
    PrivateName(
        name="torch._inductor.config.autotune_local_cache",
        files=("observe/uncompiled_kernels.py",),
        purpose="every run tunes, so that each needs the buffer of tuning",
    ),
    PrivateName(
        name="torch._inductor.config.compile_threads",
        files=("observe/uncompiled_kernels.py",),
        purpose="no pool of compile processes in somebody's script",
    ),
    PrivateName(
        name="torch._inductor.runtime.triton_compat.triton_key",
        files=("observe/uncompiled_kernels.py",),
        purpose="not to hash half a gigabyte of Triton that compiles nothing",
    ),
    PrivateName(
        name="torch._inductor.runtime.triton_heuristics.CachingAutotuner",
        files=("observe/uncompiled_kernels.py",),
        purpose="its _precompile_config is the one place where a kernel is compiled",
    ),
    PrivateName(
        name="torch._inductor.runtime.triton_heuristics.CachingAutotuner._precompile_config",
        files=("observe/uncompiled_kernels.py",),
        purpose="replaced: nothing is compiled on a card that runs nothing",
        parameters=("self", "cfg"),
    ),
    PrivateName(
        name="torch._functorch.config.activation_memory_budget",
        files=("step/methods/budget.py",),
        purpose="the memory budget of torch.compile",
    ),
    PrivateName(
        name="torch._foreach_copy_",
        files=("step/nanochat/muon_2026.py",),
        purpose="nanochat's Muon calls it",
    ),
    PrivateName(
        name="torch._fused_sdp_choice",
        files=("step/torch_facts.py",),
        purpose="which attention backend PyTorch would choose",
    ),
    *(
        PrivateName(
            name=f"torch._C._distributed_c10d.{name}",
            files=("observe/distributed/host_group.py",),
            purpose="a gloo group of the ranks that run, with the interface of all of them",
        )
        for name in (
            "AllreduceOptions",
            "Backend.Options",
            "BroadcastOptions",
            "FakeProcessGroup",
            "PrefixStore",
            "ReduceOp.PRODUCT",
            "ReduceOp.SUM",
            "_create_work_from_future",
        )
    ),
    *(
        PrivateName(
            name=f"torch._C._distributed_c10d.{name}",
            files=("observe/distributed/stores.py",),
            purpose="who serves the store, and how long a key is waited for, where ranks are left out",
        )
        for name in ("Store", "TCPStore")
    ),
    *(
        PrivateName(
            name=f"torch._C._distributed_c10d.{name}",
            files=("observe/distributed/nccl_groups.py",),
            purpose="who is in an NCCL group, where ranks are left out",
        )
        for name in ("ProcessGroup", "ProcessGroupNCCL.__init__")
    ),
    PrivateName(
        name="torch.distributed.distributed_c10d._new_process_group_helper",
        files=("observe/distributed/groups.py",),
        purpose="who is in a group that is being made; taken by place: size, rank, members",
    ),
    PrivateName(
        name="torch.distributed.distributed_c10d._store_based_barrier",
        files=("observe/distributed/stores.py",),
        purpose="that it counts the ranks that run",
        parameters=("rank", "store", "group_name", "rendezvous_count"),
    ),
    PrivateName(
        name="torch.distributed.distributed_c10d._world",
        files=("observe/distributed/groups.py", "observe/distributed/nccl_groups.py"),
        purpose="who is in a group that was made: its pg_names and pg_group_ranks",
    ),
    PrivateName(
        name="torch.distributed.checkpoint.default_planner._validate_global_plan",
        files=("observe/distributed/checkpoint_plans.py",),
        purpose="that parts of the ranks that run need not be the whole",
    ),
)
