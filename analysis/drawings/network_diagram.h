#pragma once

#include <string>

#include "core/network/network.h"

namespace rankfold {

/// The declaration of one site drawn as a tensor network, an SVG document; the same bytes on every
/// machine.
///
/// Each term is a row of its factors in the order of the product. A factor is a box, coloured by
/// its owner; a frozen one grey and dashed. Two factors that share a mode are joined: neighbours by
/// a straight line with the mode's name and size, others by an arc; a mode of three or more is a
/// dot with a line to each. Modes that stay go down: those of out and in to a bracket with their
/// sizes, a mode of which the site reads one value to a small square. A block is a dashed frame
/// whose bar says how its modes are read. Where the method is no plain update, a chain of steps
/// above tells where its networks act; norms of W + dW are a frame around the network.
///
/// `title` is for readers who cannot see the drawing, such as "lora at rank 8".
std::string network_diagram(const Declaration& declaration, const std::string& title);

}  // namespace rankfold
