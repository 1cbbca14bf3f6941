#include "analysis/figures/label_placement.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "analysis/figures/figure_fonts.h"

namespace rankfold {
namespace {

constexpr double dot_distance = 2;  // between the dots of a line, in points
constexpr double label_gap = 2;     // so that neighbours do not read as one number

double overlap(const Box& a, const Box& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.top, b.top) - std::max(a.bottom, b.bottom);
  return width > 0 && height > 0 ? width * height : 0;
}

}  // namespace

void LabelPlacer::add_segment(double x0, double y0, double x1, double y1) {
  const double length = std::hypot(x1 - x0, y1 - y0);
  const int steps = std::max(1, static_cast<int>(length / dot_distance));
  for (int i = 0; i <= steps; ++i) {
    const double part = static_cast<double>(i) / steps;
    ink_.push_back({x0 + part * (x1 - x0), y0 + part * (y1 - y0)});
  }
}

void LabelPlacer::add_marker(double x, double y, double radius) {
  markers_.push_back({x - radius, y - radius, x + radius, y + radius});
}

double LabelPlacer::crowding(const Box& box) const {
  double sum = 0;
  for (const Dot& dot : ink_) {
    const bool inside = dot.x > box.left - 1 && dot.x < box.right + 1 && dot.y > box.bottom - 0.5 &&
                        dot.y < box.top + 0.5;
    if (inside) sum += 4;
  }
  for (const Box& marker : markers_) sum += 3 * overlap(box, marker);
  return sum;
}

std::optional<Box> LabelPlacer::place(const std::vector<Box>& candidates, double most_crowding) {
  std::optional<Box> best;
  double least = 0, preference = 0;
  for (const Box& box : candidates) {
    preference += 0.5;  // earlier candidates are nearer to their point
    const bool outside = box.left < 0 || box.bottom < 0 || box.right > width_ || box.top > height_;
    const Box wider{box.left - label_gap, box.bottom, box.right + label_gap, box.top};
    const auto taken = [&](const Box& label) { return overlap(wider, label) > 0; };
    if (outside || std::any_of(labels_.begin(), labels_.end(), taken)) continue;
    const double crowded = crowding(box);
    if (crowded > most_crowding) continue;
    const double cost = crowded + preference;
    if (!best || cost < least) {
      best = box;
      least = cost;
    }
  }
  if (best) labels_.push_back(*best);
  return best;
}

std::optional<Box> LabelPlacer::place_beside(double x, double y, double width, double height,
                                             double most_crowding) {
  std::vector<Box> candidates;
  for (const double distance : {4.0, 7.0, 11.0}) {
    const double side = distance + width / 2, rise = distance + height / 2;
    const double slant_x = 0.7 * distance + width / 2, slant_y = 0.7 * distance + height / 2;
    for (const auto& [dx, dy] :
         {std::pair(0.0, rise), std::pair(0.0, -rise), std::pair(slant_x, -slant_y),
          std::pair(slant_x, slant_y), std::pair(-slant_x, slant_y), std::pair(-slant_x, -slant_y),
          std::pair(side, 0.0), std::pair(-side, 0.0)}) {
      candidates.push_back(
          {x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2});
    }
  }
  return place(candidates, most_crowding);
}

std::optional<Box> LabelPlacer::place_along(double y, double width, double height,
                                            const std::vector<double>& others) {
  std::vector<Box> candidates;
  const double room = width_ - width;
  std::vector<double> lefts = {room - 2, 2, room / 2, 0.75 * room, 0.25 * room};
  for (int i = 1; i < 32; ++i) lefts.push_back(2 + i * (room - 4) / 32);
  for (const double left : lefts) {
    for (const double bottom : {y + 1.5, y - 1.5 - height}) {
      const auto strikes = [&](double other) { return other > bottom && other < bottom + height; };
      if (std::ranges::any_of(others, strikes)) continue;
      candidates.push_back({left, bottom, left + width, bottom + height});
    }
  }
  // Over nothing where there is such a place.
  if (const std::optional<Box> clear = place(candidates, 0)) return clear;
  return place(candidates);
}

std::optional<Box> LabelPlacer::place_at_edge(bool lower, double width, double height) {
  std::vector<Box> candidates;
  for (int row = 0; row < 6; ++row) {
    const double up = 2 + row * (height + 2);
    const double bottom = lower ? up : height_ - up - height;
    for (const double left : {width_ - width - 2, 2.0, (width_ - width) / 2})
      candidates.push_back({left, bottom, left + width, bottom + height});
  }
  return place(candidates);
}

double dejavu_width(const std::string& text, double font_size) {
  double ems = 0;
  for (const char32_t c : code_points(text)) {
    if (c < 0x80 && std::strchr("iIjl.,:;'|!", static_cast<char>(c)) != nullptr) {
      ems += 0.34;
    } else if (c == 0x2212 ||
               (c < 0x80 && std::strchr("mwMW%@", static_cast<char>(c)) != nullptr)) {
      ems += 0.95;
    } else if (c >= 0x300 && c <= 0x36f) {
      continue;  // over the character before
    } else if (c >= 0x1100 && !(c >= 0x1e00 && c <= 0x2e7f)) {
      ems += c >= 0x1f000 && c <= 0x1ffff ? 1.35 : 1.0;
    } else {
      ems += (c >= 'A' && c <= 'Z') ? 0.7 : 0.61;
    }
  }
  return ems * font_size;
}

}  // namespace rankfold
