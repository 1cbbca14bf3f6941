#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "core/check_method.h"
#include "core/error.h"
#include "core/random.h"

namespace rankfold {
namespace {

constexpr std::size_t tokens = 4;
constexpr double exact = 1e-11;          // two ways to sum the same products in double
constexpr double by_differences = 1e-6;  // networks are linear in each entry: only rounding remains
constexpr double in_float = 1e-4;

using Values = std::vector<double>;

struct SmallStack {
  std::string name;
  Stack stack;
};

/// Small stacks with pairwise different sizes, so that a transposed or swapped index shows.
std::vector<SmallStack> small_stacks() {
  const auto build = [](std::size_t layers, std::vector<MatrixType> matrices, auto&& shape) {
    std::vector<Site> sites;
    for (std::size_t layer = 0; layer < layers; ++layer)
      for (const MatrixType matrix : matrices) {
        const auto [out, in] = shape(matrix);
        sites.push_back({fmt::format("layer.{}.{}", 2 * layer, to_string(matrix)), matrix,
                         2 * layer, out, in, 3});
      }
    return Stack(std::move(sites));
  };
  const auto wide = [](MatrixType) { return std::pair<std::size_t, std::size_t>{15, 8}; };
  const auto square = [](MatrixType) { return std::pair<std::size_t, std::size_t>{12, 12}; };
  const auto mixed = [](MatrixType matrix) -> std::pair<std::size_t, std::size_t> {
    return matrix == MatrixType::down || matrix == MatrixType::o ? std::pair(6, 10)
                                                                 : std::pair(9, 6);
  };
  return {
      {"3 layers of q, v, 15x8", build(3, {MatrixType::q, MatrixType::v}, wide)},
      {"2 layers of q, k, v, o, 12x12",
       build(2, {MatrixType::q, MatrixType::k, MatrixType::v, MatrixType::o}, square)},
      {"2 layers of o 6x10, up 9x6, down 6x10",
       build(2, {MatrixType::o, MatrixType::up, MatrixType::down}, mixed)},
  };
}

/// The defaults, and every other choice of every option alone.
std::vector<MethodRequest> requests(const Method& method) {
  std::vector<MethodRequest> all;
  for (const char* rank : {"1", "3"}) {
    MethodRequest plain;
    if (method.has_rank) plain.rank = rank;
    all.push_back(plain);
    for (const MethodOption& option : method.options)
      for (const std::string& choice : option.choices)
        if (choice != option.fallback) {
          all.push_back(plain);
          all.back().options[option.name] = choice;
        }
    if (!method.has_rank) break;
  }
  return all;
}

Values random_values(std::size_t size, const std::string& purpose) {
  Values values(size);
  RandomStream(7, purpose).fill_normal<double>(values, 0, 1);
  return values;
}

/// An adapter over frozen layers with inputs and output gradients for every site.
template <class T>
struct Bench {
  Stack stack;
  std::unique_ptr<Adapter<T>> adapter;
  std::vector<std::vector<T>> weights, biases, inputs, output_gradients;

  Bench(const Method& method, const Stack& sites, const MethodSettings& settings)
      : stack(sites), adapter(make_adapter<T>(method, sites, settings, make_openblas_backend())) {
    std::vector<FrozenLinear<T>> frozen;
    const auto draw = [](std::size_t size, const std::string& purpose) {
      const Values values = random_values(size, purpose);
      return std::vector<T>(values.begin(), values.end());
    };
    for (const Site& site : stack.sites) {
      weights.push_back(draw(site.out * site.in, "weight/" + site.name));
      biases.push_back(draw(site.out, "bias/" + site.name));
      inputs.push_back(draw(tokens * site.in, "input/" + site.name));
      output_gradients.push_back(draw(tokens * site.out, "gradient/" + site.name));
    }
    for (std::size_t i = 0; i < weights.size(); ++i)
      frozen.push_back({weights[i].data(), biases[i].data()});
    adapter->set_frozen(frozen);
    // Every factor away from zero, or a product with one zero factor would hide the others.
    for (Parameter<T>& parameter : adapter->parameters())
      RandomStream(11, "factor/" + parameter.name).fill_normal(parameter.value.span(), 0.0, 0.6);
  }

  MatrixView<const T> x(std::size_t site) const {
    return {inputs[site].data(), tokens, stack.sites[site].in};
  }
  MatrixView<const T> dy(std::size_t site) const {
    return {output_gradients[site].data(), tokens, stack.sites[site].out};
  }
  std::vector<T> frozen_output(std::size_t index) const {
    const Site& site = stack.sites[index];
    std::vector<T> y;
    for (std::size_t token = 0; token < tokens; ++token)
      y.insert(y.end(), biases[index].begin(), biases[index].end());
    make_openblas_backend()->gemm(false, true, tokens, site.out, site.in, T{1},
                                  inputs[index].data(), site.in, weights[index].data(), site.in,
                                  T{1}, y.data(), site.out);
    return y;
  }
  std::vector<T> forward(std::size_t index, Trace<T>* trace) const {
    std::vector<T> y(tokens * stack.sites[index].out, std::numeric_limits<T>::quiet_NaN());
    adapter->forward(index, x(index), {y.data(), tokens, stack.sites[index].out}, trace);
    return y;
  }
  double loss() const {
    double sum = 0;
    for (std::size_t site = 0; site < stack.sites.size(); ++site) {
      const std::vector<T> y = forward(site, nullptr);
      sum += std::inner_product(y.begin(), y.end(), output_gradients[site].begin(), 0.0);
    }
    return sum;
  }
  /// dX, with the factors' gradients added up in the adapter.
  std::vector<T> backward(std::size_t index) {
    std::vector<T> dx(tokens * stack.sites[index].in, T{0});
    Trace<T> trace;
    forward(index, &trace);
    adapter->backward(index, x(index), dy(index), trace,
                      {dx.data(), tokens, stack.sites[index].in});
    return dx;
  }
};

Values all_gradients(const Adapter<double>& adapter) {
  Values all;
  for (const Parameter<double>& parameter : adapter.parameters())
    all.insert(all.end(), parameter.gradient.span().begin(), parameter.gradient.span().end());
  return all;
}

/// (f(x + h) - f(x - h)) / 2h for every entry of `values`. Where the slopes of the two sides
/// differ, a kink (relu) lies between and h shrinks.
template <class Function>
Values central_differences(std::span<double> values, Function&& function) {
  const double middle = function();
  Values slopes;
  for (double& value : values) {
    const double kept = value;
    double slope = 0;
    for (double step = 1e-3; step > 1e-7; step /= 10) {
      value = kept + step;
      const double right = (function() - middle) / step;
      value = kept - step;
      const double left = (middle - function()) / step;
      slope = (left + right) / 2;
      const double rounding = 1e-13 * std::abs(middle) / step;
      if (std::abs(right - left) <= 1e-7 * std::abs(slope) + rounding) break;
    }
    value = kept;
    slopes.push_back(slope);
  }
  return slopes;
}

void check_gradients(Bench<double>& bench, CheckReport& report) {
  Adapter<double>& adapter = *bench.adapter;
  adapter.zero_gradients();
  std::vector<Values> input_gradients;
  for (std::size_t site = 0; site < bench.stack.sites.size(); ++site)
    input_gradients.push_back(bench.backward(site));
  for (Parameter<double>& parameter : adapter.parameters())
    if (parameter.trainable)
      report.compare("gradient of " + parameter.factor, parameter.gradient.span(),
                     central_differences(parameter.value.span(), [&] { return bench.loss(); }),
                     by_differences);
  for (std::size_t site = 0; site < bench.stack.sites.size(); ++site)
    report.compare("gradient of the input", input_gradients[site],
                   central_differences(bench.inputs[site], [&] { return bench.loss(); }),
                   by_differences);

  // A second pass adds the same again; so do the sites one by one.
  const Values once = all_gradients(adapter);
  for (std::size_t site = 0; site < bench.stack.sites.size(); ++site) bench.backward(site);
  Values twice = all_gradients(adapter);
  for (double& value : twice) value /= 2;
  report.compare("gradients accumulate", twice, once, exact);
  Values sum(once.size(), 0.0);
  for (std::size_t site = 0; site < bench.stack.sites.size(); ++site) {
    adapter.zero_gradients();
    bench.backward(site);
    const Values part = all_gradients(adapter);
    std::transform(sum.begin(), sum.end(), part.begin(), sum.begin(), std::plus<>());
  }
  report.compare("shared factors sum over sites", sum, once, exact);
}

void check_application(Bench<double>& bench, CheckReport& report) {
  const std::vector<Values> inputs = bench.inputs, output_gradients = bench.output_gradients;
  for (std::size_t index = 0; index < bench.stack.sites.size(); ++index) {
    const Site& site = bench.stack.sites[index];
    Trace<double> trace;
    const Values y = bench.forward(index, &trace);
    report.compare("forward with and without a trace", bench.forward(index, nullptr), y, exact);
    // dX added to what is there, skipped where it is not wanted, factors' gradients alike.
    bench.adapter->zero_gradients();
    Values dx = bench.backward(index);
    const Values gradients = all_gradients(*bench.adapter);
    Values added(dx.size(), 1.0);
    bench.adapter->backward(index, bench.x(index), bench.dy(index), trace,
                            {added.data(), tokens, site.in});
    for (double& value : added) value -= 1;
    report.compare("backward adds to dX", added, dx, exact);
    bench.adapter->zero_gradients();
    bench.adapter->backward(index, bench.x(index), bench.dy(index), trace, {});
    report.compare("backward without dX", all_gradients(*bench.adapter), gradients, exact);

    if (bench.adapter->place(index) != Place::beside) {
      Values delta(site.out * site.in);
      try {
        bench.adapter->reconstruct(index, {delta.data(), site.out, site.in});
        report.failures.push_back("reconstruct: a method that is no weight update gave one");
      } catch (const Error&) {
      }
      continue;
    }
    Values delta(site.out * site.in, 5.0), applied = bench.frozen_output(index);
    bench.adapter->reconstruct(index, {delta.data(), site.out, site.in});
    make_openblas_backend()->gemm(false, true, tokens, site.out, site.in, 1.0,
                                  bench.inputs[index].data(), site.in, delta.data(), site.in, 1.0,
                                  applied.data(), site.out);
    report.compare("apply against reconstruct", y, applied, exact);
  }
  if (inputs != bench.inputs || output_gradients != bench.output_gradients)
    report.failures.push_back("X or dY was changed by a call");
}

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
Step take_step(Bench<double>& bench, std::size_t rows, std::size_t rows_a_call, bool together) {
  Adapter<double>& adapter = *bench.adapter;
  adapter.zero_gradients();
  Step step;
  for (const std::vector<std::size_t>& group : site_groups(bench.stack)) {
    const std::size_t in = bench.stack.sites[group.front()].in;
    std::vector<std::size_t> columns{0};
    for (const std::size_t site : group)
      columns.push_back(columns.back() + bench.stack.sites[site].out);
    const std::size_t width = columns.back();
    const Values x = random_values(rows * in, "step/input"),
                 dy = random_values(rows * width, "step/gradient");
    Values y(rows * width), dx(rows * in, 0.25);
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
    step.outputs.insert(step.outputs.end(), y.begin(), y.end());
    step.input_gradients.insert(step.input_gradients.end(), dx.begin(), dx.end());
  }
  step.factor_gradients = all_gradients(adapter);
  return step;
}

/// However a call is computed, the numbers are the same: by every plan, sites together or one by
/// one, in one call or many.
void check_plans(Bench<double>& bench, CheckReport& report) {
  constexpr std::size_t rows = 301;  // several blocks, the last one partly filled
  bench.adapter->set_policy({false, false});
  const Step expected = take_step(bench, rows, 5, false);
  const auto compare = [&](const std::string& what, bool merged, bool dense, bool together) {
    bench.adapter->set_policy({merged, dense});
    const Step step = take_step(bench, rows, rows, together);
    report.compare(what + ": outputs", step.outputs, expected.outputs, exact);
    report.compare(what + ": gradient of the input", step.input_gradients, expected.input_gradients,
                   exact);
    report.compare(what + ": gradients of factors", step.factor_gradients,
                   expected.factor_gradients, exact);
  };
  compare("blocks of tokens", false, false, false);
  compare("sites together", false, false, true);
  compare("merged weights", true, false, true);
  compare("dense gradients", false, true, true);
  compare("merged weights and dense gradients", true, true, true);
  bench.adapter->set_policy({});
}

void check_float(const Method& method, const Stack& stack, const MethodSettings& settings,
                 Bench<double>& bench, CheckReport& report) {
  Bench<float> single(method, stack, settings);
  for (std::size_t site = 0; site < stack.sites.size(); ++site) {
    const std::vector<float> y = single.forward(site, nullptr);
    report.compare("float against double", Values(y.begin(), y.end()), bench.forward(site, nullptr),
                   in_float);
  }
}

void check_start(Adapter<double>& adapter, CheckReport& report) {
  const auto start = [&](std::uint64_t seed) {
    adapter.initialise(seed);
    Values all;
    for (const Parameter<double>& parameter : adapter.parameters())
      all.insert(all.end(), parameter.value.span().begin(), parameter.value.span().end());
    return all;
  };
  const Values first = start(1), again = start(1), other = start(2);
  if (first != again) report.failures.push_back("initialise: one seed gave two starts");
  const bool draws =
      std::ranges::any_of(adapter.parameters(), [](const Parameter<double>& parameter) {
        return parameter.initialiser.kind != Initialiser::Kind::constant;
      });
  if (draws && first == other) report.failures.push_back("initialise: two seeds gave one start");
  for (const double value : first)
    if (!std::isfinite(value)) {
      report.failures.push_back("initialise: a start is not finite");
      break;
    }
}

void check_count(const Method& method, const Stack& stack, const MethodSettings& settings,
                 const Adapter<double>& adapter, CheckReport& report) {
  const Count count = count_parameters(method, stack, settings);
  std::size_t listed = 0;
  for (const FactorCount& factor : count.factors)
    if (factor.trainable)
      listed += factor.copies * std::accumulate(factor.shape.begin(), factor.shape.end(),
                                                std::size_t{1}, std::multiplies<>());
  if (count.trainable != adapter.parameter_count() || listed != count.trainable)
    report.failures.push_back(fmt::format("count: {} counted, {} listed by factor, {} held",
                                          count.trainable, listed, adapter.parameter_count()));
}

/// What must be refused with an error that names the method.
void check_refusals(const Method& method, const Stack& stack, CheckReport& report) {
  const auto expect_refused = [&](const std::string& what, MethodRequest request) {
    try {
      resolve_settings(method, request, stack);
      report.failures.push_back(what + " was accepted");
    } catch (const UsageError& error) {
      if (std::string_view(error.what()).find(method.name) == std::string_view::npos)
        report.failures.push_back(what + ": the error does not name the method: " + error.what());
    }
  };
  MethodRequest request = requests(method).front();
  request.options["no-such-option"] = "1";
  expect_refused("an unknown option", request);
  for (const std::string rank : {"0", "-1", "1.5", "many", "99999999999999999999"})
    expect_refused("rank " + rank, {rank, {}, "", {}});
  if (method.has_rank) expect_refused("no rank", {"", {}, "", {}});
  if (!method.has_rank || !method.rank_limit) return;
  if (const auto limit = method.rank_limit(stack))
    expect_refused("a rank beyond the limit", {std::to_string(*limit + 1), {}, "", {}});
}

void check_bad_calls(Bench<double>& bench, const Method& method, CheckReport& report) {
  const Site& site = bench.stack.sites.front();
  Values y(tokens * site.out), x(tokens * (site.in + 1));
  const auto expect_error = [&](const std::string& what, auto&& call) {
    try {
      call();
      report.failures.push_back(what + " was accepted");
    } catch (const Error& error) {
      if (std::string_view(error.what()).find(method.name) == std::string_view::npos)
        report.failures.push_back(what + ": the error does not name the method: " + error.what());
    }
  };
  expect_error("a site that does not exist", [&] {
    bench.adapter->forward(bench.stack.sites.size(), bench.x(0), {y.data(), tokens, site.out},
                           nullptr);
  });
  expect_error("an input of a wrong width", [&] {
    bench.adapter->forward(0, {x.data(), tokens, site.in + 1}, {y.data(), tokens, site.out},
                           nullptr);
  });
  expect_error("an output of a wrong height", [&] {
    bench.adapter->forward(0, bench.x(0), {y.data(), tokens - 1, site.out}, nullptr);
  });
  expect_error("an output that overlaps the input", [&] {
    Values shared(tokens * (site.in + site.out));
    bench.adapter->forward(0, {shared.data(), tokens, site.in},
                           {shared.data() + tokens * site.in - 1, tokens, site.out}, nullptr);
  });
}

}  // namespace

CheckReport check_contract(const Method& method) {
  CheckReport report;
  report.name = method.name;
  for (const auto* text : {&method.name, &method.summary, &method.formula, &method.reference})
    if (text->empty()) report.failures.push_back("name, summary, formula or reference is empty");
  std::string refused;
  for (const SmallStack& small : small_stacks()) {
    std::size_t before = report.accepted;
    for (const MethodRequest& request : requests(method)) {
      MethodSettings settings;
      try {
        settings = resolve_settings(method, request, small.stack);
        make_adapter<double>(method, small.stack, settings, make_openblas_backend());
      } catch (const Error& error) {
        refused = error.what();
        continue;
      }
      ++report.accepted;
      Bench<double> bench(method, small.stack, settings);
      check_count(method, small.stack, settings, *bench.adapter, report);
      check_gradients(bench, report);
      check_application(bench, report);
      check_plans(bench, report);
      check_float(method, small.stack, settings, bench, report);
      check_bad_calls(bench, method, report);
      check_start(*bench.adapter, report);
    }
    if (report.accepted > before) check_refusals(method, small.stack, report);
  }
  if (report.accepted == 0)
    report.failures.push_back("the method accepts none of the small stacks: " + refused);
  return report;
}

}  // namespace rankfold
