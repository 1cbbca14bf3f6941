#include <algorithm>
#include <array>
#include <set>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/sweep/sweep.h"
#include "experiments/tasks/table_file.h"

namespace rankfold {
namespace {

constexpr std::size_t most_runs = 1'000'000;

/// The values that one name takes for one method, in the order in which they are varied.
struct Axis {
  std::string name;
  bool option = false;  ///< of the method, not a setting of the run
  std::vector<std::string> values;
};

bool matters(const SettingSpec& spec, const Sweep& sweep, const Method& method) {
  if (sweep.kind == SweepKind::count && !spec.has_role({SettingRole::counting})) return false;
  if (sweep.kind == SweepKind::fit && !spec.has_role({SettingRole::fitting})) return false;
  if (spec.kind == SettingKind::rank && !sweep.budgets.empty()) return false;
  return spec.matters_to == nullptr || spec.matters_to(method);
}

const std::vector<std::string>* find_values(const Sweep& sweep, const std::string& method,
                                            const std::string& task, const std::string& name) {
  const std::string key = task_in_keys(task);
  for (const SweepScope& scope :
       {SweepScope{method, key}, SweepScope{method, ""}, SweepScope{"", key}}) {
    const auto own = sweep.scoped.find(scope);
    if (own == sweep.scoped.end()) continue;
    const auto found = own->second.find(name);
    if (found != own->second.end()) return &found->second;
  }
  const auto found = sweep.common.find(name);
  return found == sweep.common.end() ? nullptr : &found->second;
}

/// The tasks of a method's runs; one without a name where the sweep tells none.
std::vector<std::string> tasks_of(const Sweep& sweep, const std::string& method) {
  const std::vector<std::string>* values = find_values(sweep, method, "", "task");
  return sweep.kind == SweepKind::train && values ? *values : std::vector<std::string>{""};
}

/// What matters to tables alone is for the tables of a sweep that has some; one that has none is
/// refused with its tasks.
bool matters_to_task(const SettingSpec& spec, const Sweep& sweep, const Method& method,
                     const std::string& task) {
  const auto is_table = [](const std::string& name) { return is_table_file(name); };
  return !spec.of_tables || is_table(task) ||
         std::ranges::none_of(tasks_of(sweep, method.name), is_table);
}

/// Model and data vary slowest (they stand before the method), the seed fastest.
std::vector<Axis> axes_of(const Sweep& sweep, const Method& method, const std::string& task) {
  std::vector<Axis> axes;
  if (!task.empty()) axes.push_back({"task", false, {task}});
  const auto add = [&](bool last) {
    for (const SettingSpec& spec : run_settings()) {
      if (spec.name == "method" || spec.name == "task" ||
          (spec.place == SettingPlace::last) != last)
        continue;
      const std::vector<std::string>* values = find_values(sweep, method.name, task, spec.name);
      if (values != nullptr && matters(spec, sweep, method) &&
          matters_to_task(spec, sweep, method, task))
        axes.push_back({spec.name, false, *values});
    }
  };
  add(false);
  std::set<std::string> options;
  for (const MethodOption& option : method.options)
    if (!find_setting(option.name)) options.insert(option.name);
  for (const std::string& name : options)
    if (const std::vector<std::string>* values = find_values(sweep, method.name, task, name))
      axes.push_back({name, true, *values});
  add(true);
  return axes;
}

/// Calls `visit` with every combination of the axes' values, set in `run`.
template <class Visit>
void for_each_combination(const std::vector<Axis>& axes, PlannedRun& run, std::size_t depth,
                          const Visit& visit) {
  if (depth == axes.size()) return visit();
  const Axis& axis = axes[depth];
  std::string& place = (axis.option ? run.settings.options : run.settings.values)[axis.name];
  for (const std::string& value : axis.values) {
    place = value;
    for_each_combination(axes, run, depth + 1, visit);
  }
}

class Expander {
 public:
  Expander(const Sweep& sweep, const Registry& registry, const RankChooser& choose_rank)
      : sweep_(sweep), registry_(registry), choose_rank_(choose_rank) {}

  Expansion expand() {
    const bool is_fit = sweep_.kind == SweepKind::fit;
    for (const char* name : {"model", "method"})
      if (!(is_fit && name == std::string_view("model")) && !sweep_.common.contains(name) &&
          !is_given_for_every_method(name))
        throw UsageError("sweep: {} is missing", name);
    if (is_fit && sweep_.inputs.empty())
      throw UsageError("sweep: input is missing; expected a .npy or .safetensors file of updates");
    std::vector<std::string> methods;
    for (const std::string& name : sweep_.common.at("method")) {
      registry_.at(name);
      if (std::ranges::find(methods, name) == methods.end()) methods.push_back(name);
    }
    check_size(methods);
    for (const std::string& input : is_fit ? sweep_.inputs : std::vector<std::string>{""})
      for (const std::string& name : methods)
        for (const std::string& task : tasks_of(sweep_, name))
          add_method(registry_.at(name), task, input);
    if (!is_fit) sort_by_place();
    return std::move(expansion_);
  }

 private:
  bool is_given_for_every_method(const std::string& name) const {
    const auto methods = sweep_.common.find("method");
    return methods != sweep_.common.end() &&
           std::ranges::all_of(methods->second, [&](const std::string& method) {
             return find_values(sweep_, method, "", name) != nullptr;
           });
  }

  std::vector<std::string> labels() const {
    const auto found = sweep_.common.find("labels");
    if (sweep_.kind != SweepKind::count || found == sweep_.common.end()) return {"2"};
    return found->second;
  }

  void check_size(const std::vector<std::string>& methods) const {
    std::size_t total = 0;
    for (const std::string& name : methods) {
      const std::size_t runs = labels().size() * std::max<std::size_t>(1, sweep_.budgets.size()) *
                               std::max<std::size_t>(1, sweep_.inputs.size());
      for (const std::string& task : tasks_of(sweep_, name)) {
        std::size_t of_task = runs;
        for (const Axis& axis : axes_of(sweep_, registry_.at(name), task))
          if (__builtin_mul_overflow(of_task, axis.values.size(), &of_task))
            of_task = most_runs + 1;
        total = std::min(most_runs + 1, total + std::min(of_task, most_runs + 1));
      }
    }
    if (total > most_runs)
      throw UsageError("sweep: the grid has more than {} runs; expected fewer values", most_runs);
  }

  void add_method(const Method& method, const std::string& task, const std::string& input) {
    PlannedRun run;
    run.input = input;
    run.settings.values["method"] = method.name;
    const std::vector<std::string> outputs = labels();
    for_each_combination(axes_of(sweep_, method, task), run, 0, [&] {
      for (const std::string& number : outputs) {
        run.labels = parse_number<std::size_t>(number).value();
        add_run(method, run);
      }
    });
  }

  void add_run(const Method& method, PlannedRun& run) {
    if (sweep_.kind == SweepKind::train)
      for (const SettingSpec& spec : run_settings())
        if (!spec.in_sweeps.empty()) run.settings.values.try_emplace(spec.name, spec.in_sweeps);
    if (sweep_.budgets.empty() || method.is_reference) return add_new(run);
    for (const std::size_t budget : sweep_.budgets) {
      const auto rank = choose_rank_(method, run, budget);
      if (!rank) {
        add_skipped(method, run, budget);
        continue;
      }
      if (method.has_rank) run.settings.values["rank"] = *rank;
      add_new(run);
    }
    if (method.has_rank) run.settings.values.erase("rank");
  }

  void add_new(const PlannedRun& run) {
    if (seen_.insert(identity_of(run)).second) expansion_.runs.push_back(run);
  }

  /// The same text for runs that are the same.
  std::string identity_of(const PlannedRun& run) {
    std::string text = std::to_string(run.labels) + '\n' + run.input + '\n';
    if (sweep_.kind != SweepKind::train) return text + settings_text(run.settings);
    const Method& method = registry_.at(run.settings.text("method"));
    return text +
           settings_text(identity_of_canonical(canonical(run.settings, &method, &known_), &known_));
  }

  void add_skipped(const Method& method, const PlannedRun& run, std::size_t budget) {
    std::string line =
        fmt::format("{} on {}: {} than {} parameters; left out", method.name,
                    printable(run.input.empty() ? run.settings.text("model") : run.input, 80),
                    method.has_rank ? "rank 1 has more" : "has more", budget);
    if (std::ranges::find(expansion_.skipped, line) == expansion_.skipped.end())
      expansion_.skipped.push_back(std::move(line));
  }

  /// Position of a run's value among those of the sweep, so that the order is the user's.
  std::size_t place(const PlannedRun& run, const char* name) const {
    const std::vector<std::string>* values =
        find_values(sweep_, run.settings.text("method"), run.settings.text("task"), name);
    if (values == nullptr) return 0;
    return static_cast<std::size_t>(std::ranges::find(*values, run.settings.text(name)) -
                                    values->begin());
  }

  void sort_by_place() {
    std::vector<PlannedRun>& runs = expansion_.runs;
    std::vector<std::pair<std::array<std::size_t, 3>, std::size_t>> order;
    for (const PlannedRun& run : runs)
      order.push_back(
          {{place(run, "model"), place(run, "data"), place(run, "task")}, order.size()});
    std::ranges::sort(order);
    std::vector<PlannedRun> sorted;
    sorted.reserve(runs.size());
    for (const auto& [places, index] : order) sorted.push_back(std::move(runs[index]));
    runs = std::move(sorted);
  }

  const Sweep& sweep_;
  const Registry& registry_;
  const RankChooser& choose_rank_;
  KnownFolders known_;
  std::unordered_set<std::string> seen_;
  Expansion expansion_;
};

}  // namespace

Expansion expand(const Sweep& sweep, const Registry& registry, const RankChooser& choose_rank) {
  return Expander(sweep, registry, choose_rank).expand();
}

}  // namespace rankfold
