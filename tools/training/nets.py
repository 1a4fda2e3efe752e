"""The three networks of the caliper in PyTorch.

The finder locates the blade. The aligner corrects the pose and finds which side has the cuts. The
measurer measures the depths of the cuts. A strip is the blade, cut out of the photo and
straightened with the current pose. Shapes use n for the batch, c for channels, h and w for height
and width in pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keylike.readers.caliper.frames import ALIGN, FINDER_SIDE, MIDLINE, READ, Strip
from keylike.readers.caliper.networks import KINDS

POINTS = len(MIDLINE) + 1  # number of points that the finder locates: the midline and the tip
DEPTHS = 11  # number of depths: six cuts with Schlage's spacing, then five with Kwikset's
STRIDE = 4  # strip pixels per column of the edge profile
POSE_FEATURES = 5  # length of the array that frames.pose_features returns
TILTS = 4  # number of the first pose features that the measurer predicts in training


def conv(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a block of convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Residual block of two 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        return F.relu(x + self.body(x))


class ResidualRow(nn.Module):
    """Residual block of two 1D convolutions along the columns of a strip; the first is dilated."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        wide = nn.Conv1d(channels, channels, 3, 1, dilation, dilation, bias=False)
        narrow = nn.Conv1d(channels, channels, 3, 1, 1, bias=False)
        self.body = nn.Sequential(
            wide, nn.BatchNorm1d(channels), nn.ReLU(inplace=True), narrow, nn.BatchNorm1d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, w) to the same shape."""
        return F.relu(x + self.body(x))


def double(x: Tensor) -> Tensor:
    """Double height and width by repeating each value."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Finder(nn.Module):
    """Network that locates points along the blade in a small square photo.

    It also detects whether the photo shows a key, and whether it shows more than one.
    """

    grid: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.to2 = nn.Sequential(conv(3, 12, 5, 2), conv(12, 16))
        self.to4 = nn.Sequential(conv(16, 32, 3, 2), Residual(32))
        self.to8 = nn.Sequential(conv(32, 56, 3, 2), Residual(56), Residual(56))
        self.to16 = nn.Sequential(conv(56, 96, 3, 2), Residual(96), Residual(96))
        self.to32 = nn.Sequential(conv(96, 128, 3, 2), Residual(128))
        self.up32, self.up16, self.up8 = conv(128, 96, 1), conv(96, 56), conv(56, 40)
        self.skip4, self.up4, self.heat = (
            nn.Conv2d(32, 40, 1),
            conv(40, 40),
            nn.Conv2d(40, 4 * POINTS, 1),
        )
        self.presence = nn.Linear(128 + 96, 1)
        self.several = nn.Linear(128 + 96, 1)
        self.register_buffer("grid", (torch.arange(FINDER_SIDE // 2).float() + 0.5) * 2 - 0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Map squares (n, 3, 160, 160) to the outputs.

        Returns:
            Logits of the heat maps (n, 8, 80, 80), points (n, 8, 2) in pixels, their variance
            (n, 8) in square pixels, logits that there is a key (n,), logits that there are further
            whole keys (n,).
        """
        e4 = self.to4(self.to2(x))
        e8 = self.to8(e4)
        e16 = self.to16(e8)
        e32 = self.to32(e16)
        up = double(self.up32(e32)) + e16
        seen = torch.cat([e32.mean((2, 3)), up.amax((2, 3))], 1)
        up = double(self.up16(up)) + e8
        up = double(self.up8(up)) + self.skip4(e4)
        heat = F.pixel_shuffle(self.heat(self.up4(up)), 2).float()
        share = heat.flatten(2).softmax(2).view_as(heat)
        across, down = share.sum(2), share.sum(3)
        x_mean, y_mean = (across * self.grid).sum(2), (down * self.grid).sum(2)
        spread = (across * (self.grid - x_mean[..., None]) ** 2).sum(2) + (
            down * (self.grid - y_mean[..., None]) ** 2
        ).sum(2)
        seen = seen.float()
        return (
            heat,
            torch.stack([x_mean, y_mean], 2),
            spread,
            self.presence(seen)[:, 0],
            self.several(seen)[:, 0],
        )


class StripNet(nn.Module):
    """Layers that aligner and measurer share: they find both edges of the blade in each column.

    The loss includes the edges at every column. Without them, the other outputs are learnt many
    times more slowly (docs/LOG.md).
    """

    rows: Tensor

    def __init__(self, strip: Strip, answers: int) -> None:
        super().__init__()
        self.strip = strip
        self.stem = nn.Sequential(conv(3, 16, 5, 2), conv(16, 16))
        self.to4 = nn.Sequential(conv(16, 32, 3, 2), Residual(32), Residual(32))
        self.to8 = nn.Sequential(conv(32, 64, 3, 2), Residual(64), Residual(64), Residual(64))
        self.merge, self.heat = conv(96, 32), nn.Conv2d(32, 4, 1)
        self.columns = nn.Sequential(
            nn.Conv2d(64, 96, (strip.height // 8, 1), bias=False),
            nn.BatchNorm2d(96),
            nn.ReLU(inplace=True),
        )
        self.mix = nn.Sequential(
            nn.Conv1d(96 + 8, 96, 1, bias=False), nn.BatchNorm1d(96), nn.ReLU(inplace=True),
            ResidualRow(96, 1), ResidualRow(96, 2), ResidualRow(96, 4), nn.Conv1d(96, 32, 1), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.summary = nn.Sequential(nn.Linear(32 * (strip.width // 8), 192), nn.ReLU(inplace=True))
        self.out = nn.Linear(192, answers)
        self.register_buffer(
            "rows", (torch.arange(strip.height // 2).float() + 0.5) * 2 / strip.px_per_mm
        )

    def look(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map strips (n, 3, h, w) to edges and features.

        Returns:
            Logits of the heat maps (n, 2, h/2, w/4), edges (n, 2, w/4) in mm from the top of the
            strip with the upper edge first, and features (n, 4 * w).
        """
        half = self.to4(self.stem(x))
        quarter = self.to8(half)
        heat = self.heat(self.merge(torch.cat([half, double(quarter)], 1))).float()
        n, tall, wide = heat.shape[0], self.strip.height // 4, self.strip.width // STRIDE
        heat = heat.view(n, 2, 2, tall, wide).permute(0, 1, 3, 2, 4).reshape(n, 2, 2 * tall, wide)
        share = heat.softmax(2)
        rows = self.rows.view(1, 1, -1, 1)
        edges = (share * rows).sum(2)
        spread = (share * (rows - edges[:, :, None]) ** 2).sum(2).clamp(max=4)
        profile = torch.cat([edges - 6.0, spread], 1).view(n, 4, wide // 2, 2)
        profile = profile.permute(0, 1, 3, 2).reshape(n, 8, wide // 2)
        seen = self.columns(quarter).squeeze(2)
        return heat, edges, self.mix(torch.cat([seen, profile.to(seen.dtype)], 1)).flatten(1)


class Aligner(StripNet):
    """Network that locates the corners of the slot on a strip with a rough pose.

    The slot is the fixed rectangle of 27 x 8.6 mm that every blade is aligned to. The network also
    detects whether the cuts are on the lower side.
    """

    def __init__(self) -> None:
        super().__init__(ALIGN, 9)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map strips (n, 3, 144, 320) to the outputs.

        Returns:
            Logits of the heat maps (n, 2, 72, 80), edges (n, 2, 80) in mm, offsets of the corners
            (n, 8) in mm (x to the right, y down), logits that the cuts are on the lower side (n,).
        """
        heat, edges, features = self.look(x)
        out = self.out(self.summary(features)).float()
        return heat, edges, out[:, :8], out[:, 8]


class Measurer(StripNet):
    """Network that measures the depths on a strip, given the pose with which it was straightened.

    The pose tells how much the strip was stretched. There are two possible reasons: the key is
    tilted, or it is a foreign key that was stretched until it fits. Only the picture (side wall,
    shading) shows which one is true.
    """

    def __init__(self) -> None:
        super().__init__(READ, 2 * DEPTHS + len(KINDS) + 1 + 8)
        self.weigh = nn.Linear(192 + POSE_FEATURES, 192)
        self.fold = nn.Linear(192, 192)
        self.tilt = nn.Linear(192, TILTS)
        nn.init.zeros_(self.fold.weight)
        nn.init.zeros_(self.fold.bias)

    def forward(
        self, x: Tensor, pose: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Map strips (n, 3, 144, 384) and pose features (n, 5) to the outputs.

        Returns:
            Pose features of the key as the picture shows them (n, 4), which only training uses,
            logits of the heat maps (n, 2, 72, 96), edges (n, 2, 96) in mm, depths (n, 11) in mm,
            logarithms of their spreads in tenths of a mm (n, 11), logits of the kinds (n, 6),
            logits that the strip is aligned with a blade (n,), remaining offsets of the corners
            (n, 8) in mm.
        """
        heat, edges, features = self.look(x)
        summary = self.summary(features)
        return self.tilt(summary).float(), heat, edges, *self.answer(summary, pose)

    def answer(
        self, summary: Tensor, pose: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Map the summary (n, 192) and pose features (n, 5) to the outputs after the edges."""
        both = torch.cat([summary, pose.to(summary.dtype)], 1)
        out = self.out(summary + self.fold(F.relu(self.weigh(both)))).float()
        depths, spreads, kinds, fit, corners = out.split([DEPTHS, DEPTHS, len(KINDS), 1, 8], 1)
        return depths * 0.5 + 6.6, spreads.clamp(-6, 4), kinds, fit[:, 0], corners * 0.5


NETS: dict[str, type[nn.Module]] = {"finder": Finder, "aligner": Aligner, "measurer": Measurer}


def count(net: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in net.parameters())


def state(net: nn.Module) -> dict[str, Any]:
    """Return a copy of the weights on the CPU, by name."""
    return {name: value.detach().cpu().clone() for name, value in net.state_dict().items()}
