"""What the builders build: imported in a worker alone."""

import torch
from torch import nn

from deepft_lab.training.detection.backbones import Backbone
from deepft_lab.training.detection.necks import Neck


def sign(groups, momentum):
    return torch.optim.SGD(groups, lr=0.0, momentum=momentum)


def wave(share, waves):
    return 1.0 if int(share * waves * 2) % 2 == 0 else 0.5


class Plain(nn.Module):
    def __init__(self, outputs, width):
        super().__init__()
        self.first = nn.Conv2d(3, width, 8, 8)
        self.last = nn.Linear(width, outputs)

    def forward(self, images):
        return self.last(self.first(images).relu().mean((2, 3)))


def plain(outputs, stochastic_depth=0.0, width=8):
    return Plain(outputs, width)


class Stripes(Backbone):
    def __init__(self, strides, width):
        super().__init__()
        self.strides, self.channels = list(strides), [width] * len(strides)
        self.convolutions = nn.ModuleList(nn.Conv2d(3, width, stride, stride) for stride in strides)
        self.stages = [["convolutions."]]

    def forward(self, images):
        return [convolution(images).relu() for convolution in self.convolutions]


def stripes(strides, width):
    return Stripes(strides, width)


class Halves(Neck):
    def __init__(self, channels, strides, width):
        super().__init__()
        self.channels, self.strides = [width] * len(channels), list(strides)
        self.convolutions = nn.ModuleList(nn.Conv2d(inputs, width, 1) for inputs in channels)

    def forward(self, maps):
        return [convolution(level) for convolution, level in zip(self.convolutions, maps, strict=True)]


def halves(channels, strides, settings, width):
    return Halves(channels, strides, width)


class Points(nn.Module):
    def __init__(self, channels, places, width):
        super().__init__()
        self.last = nn.Conv2d(channels[0], places, 1)

    def forward(self, maps):
        return self.last(maps[0])


def points(channels, places, width):
    return Points(channels, places, width)


def layers(width_of_features, outputs, width):
    return nn.Sequential(nn.Linear(width_of_features, width), nn.ReLU(), nn.Linear(width, outputs))


def brier(logits, targets, power):
    known = targets >= 0
    each = (logits.softmax(1) - targets.clamp(min=0)).abs() ** power * known
    return each.sum(1).mean()


def salt(picture, random, share):
    picture[torch.from_numpy(random.random(picture.shape[:2]) < share)] = 255
    return picture


def bent(picture, random):
    return picture[::2]


class Middles(nn.Module):
    """One box at each place of the finest map: which concept has its middle there, and how far its sides are."""

    def __init__(self, channels, strides, concepts, found, width):
        super().__init__()
        self.stride, self.concepts, self.found = strides[0], concepts, found
        self.layers = nn.Sequential(nn.Conv2d(channels[0], width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 4, 1))
        self.last = nn.Conv2d(channels[0], concepts, 1)

    def loss(self, maps, sizes, targets):
        logits, sides = self.last(maps[0]), self.layers(maps[0])
        wanted, total = torch.zeros_like(logits), sides.sum() * 0
        for image, target in enumerate(targets):
            for box, label in zip(target["boxes"], target["labels"], strict=True):
                x, y = (((box[:2] + box[2:]) / 2 / self.stride).long()).tolist()
                wanted[image, label, y, x] = 1
                total = total + nn.functional.l1_loss(sides[image, :, y, x], (box[2:] - box[:2]).repeat(2) / 100)
        return nn.functional.binary_cross_entropy_with_logits(logits, wanted) * 10 + total

    def find(self, maps, sizes):
        values, sides, found = self.last(maps[0]).sigmoid(), self.layers(maps[0]), []
        for image in range(len(values)):
            best, places = values[image].flatten(1).max(1)
            width = values.shape[-1]
            middles = torch.stack((places % width, places // width), 1) * self.stride + self.stride / 2
            half = sides[image].flatten(1).T[places][:, 2:].abs() * 50
            found.append((torch.cat((middles - half, middles + half), 1), best, torch.arange(self.concepts)))
        return found


def middles(channels, strides, concepts, found, width):
    return Middles(channels, strides, concepts, found, width)


def squares(logits, targets):
    wanted = nn.functional.one_hot(targets.clamp(min=0), logits.shape[1]).movedim(-1, 1)
    return ((logits.softmax(1) - wanted) ** 2).mean()
