#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "core/contract/tested_adapter.h"

namespace rankfold::contract {
namespace {

/// Sites of one layer whose inputs are of one width, as a call takes them together.
std::vector<std::vector<std::size_t>> site_groups(const Stack& stack) {
  std::map<std::pair<std::size_t, std::size_t>, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < stack.sites.size(); ++i)
    groups[{stack.sites[i].layer, stack.sites[i].in}].push_back(i);
  std::vector<std::vector<std::size_t>> all;
  for (const auto& [key, sites] : groups) all.push_back(sites);
  return all;
}

/// Everything that a step computes: outputs, dX and the factors' gradients.
struct Step {
  Values outputs, input_gradients, factor_gradients;
};

/// A step of `rows` tokens in calls of at most `rows_a_call`, on the sites of a group together or
/// one by one; outputs lie side by side in one matrix, as q, k and v do.
Step take_step(TestedAdapter<double>& tested, std::size_t rows, std::size_t rows_a_call,
               bool together) {
  Adapter<double>& adapter = *tested.adapter;
  adapter.zero_gradients();
  Step step;
  for (const std::vector<std::size_t>& group : site_groups(tested.stack)) {
    const std::size_t in = tested.stack.sites[group.front()].in;
    std::vector<std::size_t> columns{0};
    for (const std::size_t site : group)
      columns.push_back(columns.back() + tested.stack.sites[site].out);
    const std::size_t width = columns.back();
    const Buffer<double> x = tested.place(random_values(rows * in, "step/input")),
                         dy = tested.place(random_values(rows * width, "step/gradient"));
    Buffer<double> y(tested.device, rows * width), dx = tested.place(Values(rows * in, 0.25));
    for (std::size_t row = 0; row < rows; row += rows_a_call) {
      const std::size_t count = std::min(rows_a_call, rows - row);
      std::vector<SiteMatrix<double>> outputs;
      std::vector<SiteMatrix<const double>> d_outputs;
      for (std::size_t i = 0; i < group.size(); ++i) {
        const std::size_t begin = row * width + columns[i], out = columns[i + 1] - columns[i];
        outputs.push_back({group[i], {y.data() + begin, count, out, width}});
        d_outputs.push_back({group[i], {dy.data() + begin, count, out, width}});
      }
      const MatrixView<const double> x_rows(x.data() + row * in, count, in);
      const MatrixView<double> dx_rows(dx.data() + row * in, count, in);
      const std::size_t calls = together ? 1 : group.size(), sites = together ? group.size() : 1;
      for (std::size_t call = 0; call < calls; ++call) {
        Trace<double> trace;
        adapter.forward(std::span(outputs).subspan(call, sites), x_rows, &trace);
        adapter.backward(std::span<const SiteMatrix<const double>>(d_outputs).subspan(call, sites),
                         x_rows, trace, dx_rows, call == 0 ? Into::overwrite : Into::add);
      }
    }
    const HostRead<double> outputs(y), input_gradients(dx);
    step.outputs.insert(step.outputs.end(), outputs.begin(), outputs.end());
    step.input_gradients.insert(step.input_gradients.end(), input_gradients.begin(),
                                input_gradients.end());
  }
  step.factor_gradients = all_gradients(adapter);
  return step;
}

}  // namespace

void check_plans(TestedAdapter<double>& tested, CheckReport& report) {
  constexpr std::size_t rows = 301;  // several blocks, the last one partly filled
  tested.adapter->set_policy({false, false});
  const Step expected = take_step(tested, rows, 5, false);
  constexpr double floor = 1;  // numbers of size 1 make them up, so what vanishes is rounding
  const auto compare = [&](const std::string& what, bool merged, bool dense, bool together) {
    tested.adapter->set_policy({merged, dense});
    const Step step = take_step(tested, rows, rows, together);
    report.compare(what + ": outputs", step.outputs, expected.outputs, exact);
    report.compare(what + ": gradient of the input", step.input_gradients, expected.input_gradients,
                   exact, floor);
    if (!expected.factor_gradients.empty())  // as none has
      report.compare(what + ": gradients of factors", step.factor_gradients,
                     expected.factor_gradients, exact, floor);
  };
  compare("blocks of tokens", false, false, false);
  compare("sites together", false, false, true);
  compare("merged weights", true, false, true);
  compare("dense gradients", false, true, true);
  compare("merged weights and dense gradients", true, true, true);
  tested.adapter->set_policy({});
}

}  // namespace rankfold::contract
