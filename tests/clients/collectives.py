"""Every kind of collective in a group of one process, through PyTorch's own NCCL process group.

It knows nothing of nanocheck. Run it plainly: ``python collectives.py STORE_FILE [WORLD_SIZE]``.
"""

import sys

import torch
import torch.distributed as dist

world = int(sys.argv[2]) if len(sys.argv) > 2 else 1
dist.init_process_group("nccl", init_method=f"file://{sys.argv[1]}", rank=0, world_size=world)
values = [0.0, 1.0, 2.0, 3.0]
given = torch.tensor(values, device="cuda")


def fresh():
    return torch.full((4,), -1.0, device="cuda")


dist.all_reduce(given)
work = dist.all_reduce(given, op=dist.ReduceOp.AVG, async_op=True)
work.wait()
torch.cuda.synchronize()
print("completed", work.is_completed())
results = {"all_reduce": given}
dist.all_gather_into_tensor(into := fresh(), given)
results["all_gather_into_tensor"] = into
dist.all_gather([into := fresh()], given)
results["all_gather"] = into
dist.reduce_scatter_tensor(into := fresh(), given)
results["reduce_scatter_tensor"] = into
dist.reduce_scatter(into := fresh(), [given])
results["reduce_scatter"] = into
dist.all_to_all_single(into := fresh(), given)
results["all_to_all_single"] = into
dist.gather(given, [into := fresh()], dst=0)
results["gather"] = into
dist.scatter(into := fresh(), [given], src=0)
results["scatter"] = into
dist.broadcast(given, src=0)
dist.reduce(given, dst=0)
results["broadcast"] = given
swap = [dist.P2POp(dist.isend, given, 0), dist.P2POp(dist.irecv, into := fresh(), 0)]
for each in dist.batch_isend_irecv(swap):
    each.wait()
results["batch_isend_irecv"] = into
coalesced = [given.clone(), given.clone()]
dist.all_reduce_coalesced(coalesced)
results["all_reduce_coalesced"] = coalesced[1]
dist.barrier()
for name, found in results.items():
    assert found.tolist() == values, (name, found)
print("collectives", len(results))

# Their lengths are read back from the GPU.
objects = [{"loss": 1.5, "names": ["a", "b"]}, None]
dist.broadcast_object_list(objects, src=0)
gathered = [None]
dist.all_gather_object(gathered, objects[0])
assert gathered == [{"loss": 1.5, "names": ["a", "b"]}], gathered
print("objects", len(objects))

part = dist.new_group([0])
dist.all_reduce(given, group=part)
assert given.tolist() == values
dist.destroy_process_group()
print("done", dist.is_initialized())
