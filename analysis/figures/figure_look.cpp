#include "analysis/figures/figure_look.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr std::size_t most_panels = 200;

bool holds(const std::optional<Bounds>& range, double value) {
  return !range || (range->low <= value && value <= range->high);
}

bool is_shown(const FigurePanel& panel, const FigurePoint& point) {
  return point.value.value && holds(panel.x_range, point.x) &&
         holds(panel.y_range, *point.value.value);
}

void refuse_zero(AxisScale scale, const Bounds& range, const char* option) {
  if (scale == AxisScale::linear || range.low > 0 || std::isinf(range.low)) return;
  throw UsageError("--{}: the axis is logarithmic: expected numbers above 0", option);
}

void set_ranges(FigurePlan& plan, const FigureLook& look) {
  // A panel of parameters beside panels of scores keeps its own axis.
  const bool has_scores = std::ranges::any_of(
      plan.panels, [](const FigurePanel& panel) { return panel.y_scale == AxisScale::linear; });
  const FigurePanel* first = nullptr;
  for (FigurePanel& panel : plan.panels) {
    if (look.x_range) {
      if (panel.x_label != plan.panels[0].x_label)
        throw UsageError("--x-range: the panels have different horizontal axes ({}, {})",
                         plan.panels[0].x_label, panel.x_label);
      refuse_zero(panel.x_scale, *look.x_range, "x-range");
      panel.x_range = look.x_range;
    }
    if (!look.y_range || (has_scores && panel.y_scale != AxisScale::linear)) continue;
    const auto is_measure = [](const FigurePanel& other) {
      return other.y_label == "tokens per second" || other.y_label == "peak memory, MiB";
    };
    if (first == nullptr) first = &panel;
    if (panel.y_label != first->y_label && is_measure(panel))
      throw UsageError("--y-range: the panels show different quantities ({}, {})", first->y_label,
                       panel.y_label);
    refuse_zero(panel.y_scale, *look.y_range, "y-range");
    panel.y_range = look.y_range;
  }
  if (!look.x_range && !look.y_range) return;
  for (const FigurePanel& panel : plan.panels) {
    for (const FigureLine& line : panel.lines) {
      for (const FigurePoint& point : line.points) {
        if (is_shown(panel, point)) return;
      }
    }
  }
  throw Error("no point lies in the range of --x-range and --y-range");
}

/// Each panel once for every method it holds, the others grey behind it.
void set_methods_apart(FigurePlan& plan) {
  std::vector<FigurePanel> apart;
  const bool one_panel = plan.panels.size() == 1;
  for (std::size_t i = 0; i < plan.panels.size(); ++i) {
    const FigurePanel& panel = plan.panels[i];
    std::vector<std::string> methods;
    for (const FigureLine& line : panel.lines) {
      const bool is_new = std::ranges::find(methods, line.look.method) == methods.end();
      if (!line.look.published && !line.look.shade && is_new) methods.push_back(line.look.method);
    }
    for (const std::string& method : methods) {
      FigurePanel own = panel;
      own.title = one_panel ? method : panel.title + ": " + method;
      own.y_group = i + 1;
      for (FigureLine& line : own.lines) line.look.muted = line.look.method != method;
      std::stable_partition(own.lines.begin(), own.lines.end(),
                            [](const FigureLine& line) { return line.look.muted; });
      apart.push_back(std::move(own));
    }
  }
  if (apart.size() > most_panels)
    throw Error(
        "--panels methods: {} panels cannot be read: expected at most {}, of fewer tasks or "
        "methods",
        apart.size(), most_panels);
  if (apart.empty()) throw Error("--panels methods: the figure holds no methods");
  plan.panels = std::move(apart);
  plan.is_small_multiple = true;
  plan.note += std::string(plan.note.empty() ? "" : " ") + "Grey: the other methods.";
}

}  // namespace

LabelChoice label_choice(const std::string& name) {
  if (name.empty()) return LabelChoice::readable;
  if (name == "all") return LabelChoice::all;
  if (name == "front") return LabelChoice::front;
  if (name == "none") return LabelChoice::none;
  throw unknown_name("labels", name, std::vector<std::string>{"all", "front", "none"});
}

std::optional<Spread> spread_named(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "dots") return Spread::dots;
  if (name == "bars") return Spread::bars;
  if (name == "band") return Spread::band;
  throw unknown_name("spread", name, std::vector<std::string>{"dots", "bars", "band"});
}

bool methods_have_panels(const std::string& name) {
  if (name == "methods") return true;
  if (name.empty() || name == "tasks") return false;
  throw unknown_name("panels", name, std::vector<std::string>{"tasks", "methods"});
}

std::optional<Bounds> range_of(const std::string& option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::vector<std::string> ends = split(text, ':');
  const auto refuse = [&] {
    return UsageError("--{} is '{}': expected LOW:HIGH, one of which may be missing", option,
                      printable(text, 80));
  };
  if (ends.size() != 2 || text == ":") throw refuse();
  Bounds range{-INFINITY, INFINITY};
  for (const auto& [end, place] :
       {std::pair(ends[0], &range.low), std::pair(ends[1], &range.high)}) {
    if (end.empty()) continue;
    const auto value = parse_number<double>(end);
    if (!value || std::abs(*value) > 1e300) throw refuse();
    *place = *value;
  }
  if (!(range.low < range.high)) throw refuse();
  return range;
}

double width_in_points(const std::string& text) {
  const std::size_t unit_at = std::min(text.find_first_not_of("0123456789.+-"), text.size());
  const std::string unit = text.substr(unit_at);
  const auto number = parse_number<double>(text.substr(0, unit_at));
  const double points = unit == "in"   ? 72
                        : unit == "cm" ? 72 / 2.54
                        : unit == "mm" ? 72 / 25.4
                        : unit == "pt" ? 72 / 72.27
                                       : 0;
  if (!number || points == 0)
    throw UsageError("--width is '{}': expected a number with in, cm, mm or pt, as 5.5in",
                     printable(text, 80));
  const double width = *number * points;
  if (!(width >= 1.5 * 72 && width <= 40 * 72))
    throw UsageError("--width is '{}': expected 1.5in to 40in", printable(text, 80));
  return width;
}

void apply_look(FigurePlan& plan, const FigureLook& look) {
  plan.labels = look.labels;
  set_ranges(plan, look);
  if (look.methods_apart) set_methods_apart(plan);
}

}  // namespace rankfold
