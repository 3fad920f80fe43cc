"""Projection and filtered back-projection against closed forms and slower ways."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.projection import (
    APERTURE,
    SCAN_FIELD_MM,
    Projector,
    projector,
    scan_grid,
)

WATER = 0.0193


@pytest.fixture(scope="module")
def beam() -> Projector:
    return projector(96, 60)


def _distance(pixels: int, x_mm: float = 0.0, y_mm: float = 0.0) -> Array:
    steps = (np.arange(pixels) - (pixels - 1) / 2) * SCAN_FIELD_MM / pixels
    return np.hypot(steps[None, :] - x_mm, steps[:, None] - y_mm).astype(np.float32)


def _disc(pixels: int, radius_mm: float, x_mm: float = 0.0, y_mm: float = 0.0) -> Array:
    """A disc of water with a soft rim one pixel wide, as an image has it."""
    edge = (radius_mm - _distance(pixels, x_mm, y_mm)) * pixels / SCAN_FIELD_MM + 0.5
    return np.asarray(np.clip(edge, 0, 1) * WATER, dtype=np.float32)


def test_the_path_through_a_disc_is_its_chord(beam: Projector) -> None:
    path = beam.project(_disc(96, 150))
    s = beam.bin_centres_mm()
    chord = 2 * np.sqrt(np.maximum(150**2 - s**2, 0)) * WATER
    away = np.abs(np.abs(s) - 150) > 12  # the rim is steeper than the bins
    # Linear interpolation onto the bins ripples by two percent at most.
    assert_allclose(path[:, away], np.broadcast_to(chord, path.shape)[:, away], atol=0.12)
    assert_allclose(path.mean(0)[away], chord[away], atol=0.04)


def test_every_view_sees_all_of_the_mass(beam: Projector) -> None:
    image = _disc(96, 60, 90, -70)
    mass = float(image.sum()) * beam.pitch_mm**2
    assert_allclose(beam.project(image).sum(1) * beam.pitch_mm, mass, rtol=1e-4)


def test_a_rotated_sum_projects_alike(beam: Projector) -> None:
    image = _disc(96, 80, 60, 20) + _disc(96, 40, -80, -60)
    path = beam.project(image)
    for view in (0, 11, 30, 47):
        angle = float(np.degrees(beam.angles_rad[view]))
        turned = ndimage.rotate(image, angle, reshape=False, order=1)
        slow = turned.sum(0) * beam.pitch_mm
        assert_allclose(ndimage.gaussian_filter1d(path[view][1:-1], 1.5),
                        ndimage.gaussian_filter1d(slow, 1.5), atol=0.12)  # fmt: skip


def test_projection_is_the_adjoint_of_back_projection(beam: Projector) -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((96, 96)).astype(np.float32)
    rays = rng.standard_normal((60, beam.bins)).astype(np.float32)
    forward = float((beam.project(image) * rays).sum()) / beam.pitch_mm
    seen = ndimage.convolve1d(rays, APERTURE, mode="constant")
    backward = float((image * beam.back_project(seen)).sum()) * 60
    assert_allclose(forward, backward, rtol=1e-3)


@pytest.mark.parametrize("place", [(0.0, 0.0), (70.0, -40.0)])
def test_an_ideal_disc_is_reconstructed(place: tuple[float, float]) -> None:
    beam = projector(160, 150)
    found = beam.reconstruct(beam.project(_disc(160, 100, *place)))
    distance = _distance(160, *place)
    inside, outside = distance < 85, (distance > 115) & (_distance(160) < 235)
    assert_allclose(found[inside].mean(), WATER, rtol=0.005)
    assert_allclose(found[inside], WATER, rtol=0.04)
    assert_allclose(found[outside], 0, atol=0.03 * WATER)


def test_nothing_in_gives_nothing_out(beam: Projector) -> None:
    assert not beam.reconstruct(np.zeros((60, beam.bins), np.float32)).any()


def test_an_image_on_the_grid_keeps_its_mass() -> None:
    axis = ((np.arange(200) - 99.5) * 1.1).astype(np.float32)
    image = np.random.default_rng(1).random((200, 200)).astype(np.float32)
    placed = scan_grid(axis + 20, axis - 10, (5.0, 8.0), 64)
    grid = placed.onto_grid(image, np.zeros((64, 64), np.float32))
    assert_allclose(grid.sum() * (SCAN_FIELD_MM / 64) ** 2, image.sum() * 1.1**2, rtol=1e-4)


def test_what_the_image_does_not_reach_is_taken_from_around() -> None:
    axis = ((np.arange(100) - 49.5) * 2).astype(np.float32)
    placed = scan_grid(axis, axis, (0.0, 0.0), 50)
    grid = placed.onto_grid(np.full((100, 100), 3, np.float32), np.full((50, 50), 7, np.float32))
    assert_allclose(grid[15:35, 15:35], 3, rtol=1e-4)
    assert_allclose(grid[:15], 7, rtol=1e-4)
    assert_allclose(grid[:, 35:], 7, rtol=1e-4)


def test_a_slope_on_the_grid_is_the_same_slope_on_the_image() -> None:
    y = ((np.arange(64) - 31.5) * 3 + 30).astype(np.float32)
    x = ((np.arange(64) - 31.5) * 3 - 40).astype(np.float32)
    placed = scan_grid(y, x, (10.0, 20.0), 80)
    steps = (np.arange(80) - 39.5) * SCAN_FIELD_MM / 80
    grid = (2 * (steps[None, :] + 10) + (steps[:, None] + 20)).astype(np.float32)
    assert_allclose(placed.onto_image(grid), 2 * x[None, :] + y[:, None], atol=1e-2)
