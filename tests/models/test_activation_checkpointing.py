import copy

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from exvideo.models import checkpoint_activations, configure_attention, extend
from exvideo.models.activation_checkpointing import run_regions
from exvideo.models.svd import transformers
from tests.models.tiny import CONTEXT, clip_inputs, full_size_unet, randomise, run, tiny_unet

FRAMES = 12


@pytest.fixture
def unet():
    unet = extend(tiny_unet(), FRAMES)
    randomise(unet, scale=0.03)
    return unet


def loss_and_gradients(unet):
    loss = run(unet, *clip_inputs(2, FRAMES)).square().mean()
    loss.backward()
    return loss, {name: p.grad for name, p in unet.named_parameters() if p.requires_grad}


def kept_bytes(function):
    """Bytes that autograd keeps after `function`, each storage once, without the parameters."""
    kept = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = function()
    assert output.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("policy", ["block", "part"])
@pytest.mark.parametrize("shortcut", [True, False])
def test_recomputing_changes_no_result(unet, policy, shortcut):
    configure_attention(unet, one_token_shortcut=shortcut)
    expected_loss, expected = loss_and_gradients(copy.deepcopy(unet))
    checkpoint_activations(unet, policy)
    loss, found = loss_and_gradients(unet)
    assert torch.equal(loss, expected_loss)
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


def test_named_blocks_keep_theirs(unet):
    inputs = clip_inputs(2, FRAMES)
    expected_loss, expected = loss_and_gradients(copy.deepcopy(unet))
    checkpoint_activations(unet, "none")
    everything = kept_bytes(lambda: run(unet, *inputs))
    regions = []

    def note(name, part, *given):
        regions.append(name)
        return part(*given)

    run_regions(unet, note)
    run(unet, *inputs)
    assert "mid_block.attentions.0.temporal_transformer_blocks.0" in regions
    kept = []
    for count in (0, len(regions) // 2, len(regions)):
        checkpoint_activations(unet, "block", regions[:count])
        kept.append(kept_bytes(lambda: run(unet, *inputs)))
    assert kept[0] < kept[1] < kept[2] == everything
    checkpoint_activations(unet, "block", regions[::2])
    loss, found = loss_and_gradients(unet)
    assert torch.equal(loss, expected_loss)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_blocks_keep_far_less_than_everything(unet):
    inputs = clip_inputs(2, FRAMES)
    kept = {}
    for policy in ("none", "block"):
        checkpoint_activations(unet, policy)
        kept[policy] = kept_bytes(lambda: run(unet, *inputs))
    assert kept["block"] < 0.2 * kept["none"]


def test_the_temporal_part_is_covered(unet):
    """A transformer keeps the inputs of its two parts, its norm, mixture and projections alone."""
    transformer = transformers(unet)["mid_block.attentions.0"]
    hidden = torch.randn(FRAMES, 64, 4, 4, requires_grad=True)
    context = torch.randn(FRAMES, 1, CONTEXT)

    def forward():
        return transformer(hidden, context, torch.zeros(1, FRAMES), return_dict=False)[0]

    checkpoint_activations(unet, "none")
    everything = kept_bytes(forward)
    checkpoint_activations(unet, "block")
    assert kept_bytes(forward) <= 8 * hidden.nbytes < everything / 4


def test_parts_lower_the_peak_of_the_largest_block(unet):
    """While the temporal part is recomputed, it keeps the inputs of its own parts alone."""
    transformer = transformers(unet)["mid_block.attentions.0"]
    block = transformer.temporal_transformer_blocks[0]
    x = torch.randn(FRAMES, 16, 64, requires_grad=True)
    context = torch.randn(16, 1, CONTEXT)

    def recompute():
        return transformer.temporal_part(block, x, context, (1, FRAMES, 4, 4))

    checkpoint_activations(unet, "block")
    whole = kept_bytes(recompute)
    checkpoint_activations(unet, "part")
    assert kept_bytes(recompute) < whole / 2


def test_at_full_size_128_frames_of_512_pixels_fit():
    """Without memory, in bfloat16: 15.6 GiB kept by blocks, and what recomputing one adds."""
    unet = extend(full_size_unet(), 128)
    torch.nn.Module.to(unet, torch.bfloat16)
    configure_attention(unet)
    transformer = transformers(unet)["down_blocks.0.attentions.0"]
    block = transformer.temporal_transformer_blocks[0]

    def empty(*shape, dtype=torch.bfloat16):
        return torch.empty(shape, dtype=dtype, device="meta")

    def forward():
        latents, context = empty(1, 128, 8, 64, 64), empty(1, 1, 1024)
        return run(unet, latents, empty(1, dtype=torch.float32), context, empty(1, 3))

    def recompute():
        x = empty(128, 64 * 64, 320).requires_grad_()
        return transformer.temporal_part(block, x, empty(64 * 64, 1, 1024), (1, 128, 64, 64))

    gib = 2**30
    checkpoint_activations(unet, "block")
    assert kept_bytes(forward) < 16 * gib
    whole = kept_bytes(recompute)
    checkpoint_activations(unet, "part")
    assert kept_bytes(forward) < 16 * gib
    assert kept_bytes(recompute) < 3 * gib < whole / 5


def test_no_policy_leaves_a_trace(unet):
    modules = [(module, dict(vars(module))) for module in unet.modules()]
    checkpoint_activations(unet, "part")
    checkpoint_activations(unet, "none")
    for module, before in modules:
        assert vars(module).get("forward") is before.get("forward")
        assert not getattr(module, "gradient_checkpointing", False)


def test_diffusers_own_switch_covers_the_temporal_part_too(unet):
    inputs = clip_inputs(2, FRAMES)
    checkpoint_activations(unet, "block")
    kept = kept_bytes(lambda: run(unet, *inputs))
    checkpoint_activations(unet, "none")
    unet.enable_gradient_checkpointing()
    assert kept_bytes(lambda: run(unet, *inputs)) == kept


def test_a_copy_of_the_model_recomputes_with_its_own_tensors(unet):
    checkpoint_activations(unet, "part")
    twin = copy.deepcopy(unet)
    randomise(unet)
    loss_and_gradients(twin)
    assert all(p.grad is None for p in unet.parameters())
    assert any(p.grad is not None for p in twin.parameters())


def test_an_unknown_policy_is_refused(unet):
    with pytest.raises(ValueError, match="'full'"):
        checkpoint_activations(unet, "full")
