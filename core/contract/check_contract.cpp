#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/adapter/added_bias.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/contract/check_method.h"
#include "core/contract/differences.h"
#include "core/contract/tested_adapter.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

using namespace contract;

constexpr double by_differences = 1e-6;  // networks are linear in each entry: only rounding remains
constexpr double in_float = 1e-4;

struct SmallStack {
  std::string name;
  Stack stack;
};

/// Small stacks with pairwise different sizes, so that a transposed or swapped index shows.
std::vector<SmallStack> small_stacks(const Method& method) {
  if (method.entry != Entry::weights)
    return {{"virtual tokens, 2 layers of prefixes",
             Stack({{"tokens", MatrixType::virtual_tokens, 0, 7, 5, 1},
                    {"0.k", MatrixType::prefix_k, 0, 6, 5, 2},
                    {"0.v", MatrixType::prefix_v, 0, 6, 5, 2},
                    {"2.k", MatrixType::prefix_k, 2, 6, 5, 2},
                    {"2.v", MatrixType::prefix_v, 2, 6, 5, 2}})}};
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

/// A rank of its own for every mode, "2x3x4x..." where the method takes such.
std::string unequal_ranks(const Method& method) {
  if (!method.rank_modes) return "";
  MethodSettings defaults;
  for (const MethodOption& option : method.options) defaults.options[option.name] = option.fallback;
  std::string text;
  for (std::size_t i = 0; i < method.rank_modes(defaults).size(); ++i)
    text += fmt::format("{}{}", i > 0 ? "x" : "", i + 2);
  return text;
}

/// The method's own small cases, or the defaults and every other choice of every option alone.
std::vector<MethodRequest> requests(const Method& method, const Stack& stack) {
  if (method.small_cases) return method.small_cases(stack);
  std::vector<MethodRequest> all;
  for (const char* rank : {"1", "3"}) {
    MethodRequest plain;
    if (method.has_rank) plain.rank = rank;
    all.push_back(plain);
    if (const std::string ranks = unequal_ranks(method); *rank == '1' && !ranks.empty()) {
      all.push_back(plain);
      all.back().rank = ranks;
    }
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

/// What a loss of the tested adapter is a sum over: rounding makes errors of its size times 1e-16.
double loss_scale(const TestedAdapter<double>& tested) {
  double scale = 0;
  for (std::size_t site = 0; site < tested.stack.sites.size(); ++site)
    scale = std::max(scale, norm<double>(tested.forward(site, nullptr)) *
                                norm<double>(tested.output_gradients[site]));
  return scale;
}

void check_gradients(TestedAdapter<double>& tested, CheckReport& report) {
  Adapter<double>& adapter = *tested.adapter;
  adapter.zero_gradients();
  std::vector<Values> input_gradients;
  for (std::size_t site = 0; site < tested.stack.sites.size(); ++site)
    input_gradients.push_back(tested.backward(site));
  const auto differences = [&](Values& values, auto&& loss) {
    return tested.curved ? smooth_differences(values, loss) : central_differences(values, loss);
  };
  const auto differences_of = [&](Parameter<double>& parameter) {
    Values values = tested.fetch(parameter.value);
    const auto put = [&] { std::ranges::copy(values, HostWrite<double>(parameter.value).data()); };
    const Values slopes = differences(values, [&] {
      put();
      return tested.loss(parameter);
    });
    put();
    return slopes;
  };
  // A gradient may vanish (of a length that norms take away, or at the inputs of a zero map): then
  // it is compared with the others, and with what rounding of the loss makes of its differences.
  const double least = 1e-4 * loss_scale(tested),
               floor = std::max(1e-3 * norm<double>(all_gradients(adapter)), least);
  // Where norms are constants to the gradient, they are to the differences.
  adapter.set_policy({.hold_norms = tested.detached});
  for (Parameter<double>& parameter : adapter.parameters())
    if (parameter.trainable)
      report.compare("gradient of " + parameter.factor, tested.fetch(parameter.gradient),
                     differences_of(parameter), by_differences, floor);
  for (std::size_t site = 0; site < tested.stack.sites.size(); ++site)
    report.compare("gradient of the input", input_gradients[site],
                   differences(tested.inputs[site], [&] { return tested.loss(site); }),
                   by_differences, least);
  adapter.set_policy({});

  // A second pass adds the same again; so do the sites one by one.
  const Values once = all_gradients(adapter);
  for (std::size_t site = 0; site < tested.stack.sites.size(); ++site) tested.backward(site);
  Values twice = all_gradients(adapter);
  for (double& value : twice) value /= 2;
  if (!once.empty()) report.compare("gradients accumulate", twice, once, exact, least);
  Values sum(once.size(), 0.0);
  for (std::size_t site = 0; site < tested.stack.sites.size(); ++site) {
    adapter.zero_gradients();
    tested.backward(site);
    const Values part = all_gradients(adapter);
    std::transform(sum.begin(), sum.end(), part.begin(), sum.begin(), std::plus<>());
  }
  if (!once.empty()) report.compare("shared factors sum over sites", sum, once, exact, least);
}

void check_application(TestedAdapter<double>& tested, CheckReport& report) {
  for (std::size_t index = 0; index < tested.stack.sites.size(); ++index) {
    const Site& site = tested.stack.sites[index];
    Trace<double> trace;
    const Values y = tested.forward(index, &trace);
    report.compare("forward with and without a trace", tested.forward(index, nullptr), y, exact);
    // dX added to what is there, skipped where it is not wanted, factors' gradients alike.
    tested.adapter->zero_gradients();
    Values dx = tested.backward(index);
    const Values gradients = all_gradients(*tested.adapter);
    Values added = tested.backward(index, trace, Values(dx.size(), 1.0));
    for (double& value : added) value -= 1;
    report.compare("backward adds to dX", added, dx, exact, 1);
    tested.adapter->zero_gradients();
    tested.backward(index, trace, {});
    if (!gradients.empty())
      report.compare("backward without dX", all_gradients(*tested.adapter), gradients, exact, 1);

    if (!tested.adapter->is_weight_update(index)) {
      Buffer<double> delta(tested.device, site.out * site.in);
      try {
        tested.adapter->reconstruct(index, {delta.data(), site.out, site.in});
        report.failures.push_back("reconstruct: a method that is no weight update gave one");
      } catch (const Error&) {
      }
      continue;
    }
    Buffer<double> dense = tested.place(Values(site.out * site.in, 5.0));
    tested.adapter->reconstruct(index, {dense.data(), site.out, site.in});
    const Values delta = tested.fetch(dense);
    Values applied = tested.frozen_output(index);
    make_cpu_device()->gemm(false, true, tokens, site.out, site.in, 1.0,
                            tested.inputs[index].data(), site.in, delta.data(), site.in, 1.0,
                            applied.data(), site.out);
    if (tested.adapter->adds_bias(index)) {
      const Values bias = added_bias(*tested.adapter, index);
      for (std::size_t i = 0; i < applied.size(); ++i) applied[i] += bias[i % site.out];
    }
    report.compare("apply against reconstruct", y, applied, exact);
  }
  if (tested.changed_arguments) report.failures.push_back("X or dY was changed by a call");
}

void check_float(const Method& method, const Stack& stack, const MethodSettings& settings,
                 TestedAdapter<double>& tested, CheckReport& report) {
  TestedAdapter<float> single(method, stack, settings, tested.device);
  for (std::size_t site = 0; site < stack.sites.size(); ++site) {
    const std::vector<float> y = single.forward(site, nullptr);
    report.compare("float against double", Values(y.begin(), y.end()),
                   tested.forward(site, nullptr), in_float);
  }
}

/// Factors of Storage::seed start alike over any frozen weights.
void check_seeded(TestedAdapter<double>& tested, CheckReport& report) {
  Adapter<double>& adapter = *tested.adapter;
  const auto seeded = [&] {
    adapter.initialise(1);
    Values all;
    for (const Parameter<double>& parameter : adapter.parameters())
      if (parameter.storage == Storage::seed) {
        const Values values = tested.fetch(parameter.value);
        all.insert(all.end(), values.begin(), values.end());
      }
    return all;
  };
  const Values first = seeded();
  for (Values& weight : tested.weights)
    for (double& value : weight) value = 1 - value;
  tested.place_frozen();
  if (seeded() != first)
    report.failures.push_back("initialise: a factor of Storage::seed follows from the weights");
}

void check_start(TestedAdapter<double>& tested, CheckReport& report) {
  Adapter<double>& adapter = *tested.adapter;
  const auto start = [&](std::uint64_t seed) {
    adapter.initialise(seed);
    return all_numbers(adapter, &Parameter<double>::value);
  };
  const Values first = start(1), again = start(1), other = start(2);
  if (first != again) report.failures.push_back("initialise: one seed gave two starts");
  const bool draws =
      std::ranges::any_of(adapter.parameters(), [](const Parameter<double>& parameter) {
        return parameter.trainable && parameter.initialiser.kind != Initialiser::Kind::constant;
      });
  if (draws && !tested.starts && first == other)
    report.failures.push_back("initialise: two seeds gave one start");
  check_seeded(tested, report);
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
  MethodRequest request = requests(method, stack).front();
  request.options["no-such-option"] = "1";
  expect_refused("an unknown option", request);
  for (const std::string rank : {"0", "-1", "1.5", "many", "99999999999999999999"})
    expect_refused("rank " + rank, {rank, {}, "", {}});
  if (method.has_rank) expect_refused("no rank", {"", {}, "", {}});
  if (!method.has_rank || !method.rank_limit) return;
  if (const auto limit = method.rank_limit(stack))
    expect_refused("a rank beyond the limit", {std::to_string(*limit + 1), {}, "", {}});
}

void check_bad_calls(TestedAdapter<double>& tested, const Method& method, CheckReport& report) {
  const Site& site = tested.stack.sites.front();
  Buffer<double> y(tested.device, tokens * site.out), other(tested.device, tokens * site.out),
      wide(tested.device, tokens * (site.in + 1));
  const Buffer<double> x = tested.place(tested.inputs.front()),
                       dy = tested.place(tested.output_gradients.front());
  const MatrixView<const double> inputs(x.data(), tokens, site.in),
      d_outputs(dy.data(), tokens, site.out);
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
    tested.adapter->forward(tested.stack.sites.size(), inputs, {y.data(), tokens, site.out},
                            nullptr);
  });
  expect_error("an input of a wrong width", [&] {
    tested.adapter->forward(0, {wide.data(), tokens, site.in + 1}, {y.data(), tokens, site.out},
                            nullptr);
  });
  expect_error("an output of a wrong height", [&] {
    tested.adapter->forward(0, inputs, {y.data(), tokens - 1, site.out}, nullptr);
  });
  expect_error("one site twice in a call", [&] {
    const std::vector<SiteMatrix<double>> both = {{0, {y.data(), tokens, site.out}},
                                                  {0, {other.data(), tokens, site.out}}};
    tested.adapter->forward(both, inputs, nullptr);
  });
  expect_error("the trace of a call on fewer rows", [&] {
    Trace<double> trace;
    tested.adapter->forward(0, {x.data(), tokens - 1, site.in}, {y.data(), tokens - 1, site.out},
                            &trace);
    tested.adapter->backward(0, inputs, d_outputs, trace, {});
  });
  expect_error("a backward call without a trace",
               [&] { tested.adapter->backward(0, inputs, d_outputs, {}, {}); });
  expect_error("an output that overlaps the input", [&] {
    Buffer<double> shared(tested.device, tokens * (site.in + site.out));
    tested.adapter->forward(0, {shared.data(), tokens, site.in},
                            {shared.data() + tokens * site.in - 1, tokens, site.out}, nullptr);
  });
}

}  // namespace

CheckReport check_contract(const Method& method, ContractScope scope,
                           const std::shared_ptr<const Device>& device) {
  CheckReport report;
  report.name = method.name;
  for (const auto* text : {&method.name, &method.summary, &method.formula, &method.reference})
    if (text->empty()) report.failures.push_back("name, summary, formula or reference is empty");
  std::string refused;
  for (const SmallStack& small : small_stacks(method)) {
    std::size_t before = report.accepted;
    if (scope == ContractScope::one_case && before > 0) break;
    for (const MethodRequest& request : requests(method, small.stack)) {
      if (scope == ContractScope::one_case && report.accepted > 0) break;
      MethodSettings settings;
      try {
        settings = resolve_settings(method, request, small.stack);
        make_adapter<double>(method, small.stack, settings, device);
      } catch (const Error& error) {
        refused = error.what();
        if (method.small_cases)
          report.failures.push_back(fmt::format(
              "{}: one of the method's own small cases was refused: {}", small.name, error.what()));
        continue;
      }
      ++report.accepted;
      TestedAdapter<double> tested(method, small.stack, settings, device);
      check_count(method, small.stack, settings, *tested.adapter, report);
      check_gradients(tested, report);
      check_application(tested, report);
      check_plans(tested, report);
      check_float(method, small.stack, settings, tested, report);
      check_bad_calls(tested, method, report);
      check_start(tested, report);
    }
    if (report.accepted > before) check_refusals(method, small.stack, report);
  }
  if (report.accepted == 0)
    report.failures.push_back("the method accepts none of the small stacks: " + refused);
  return report;
}

}  // namespace rankfold
