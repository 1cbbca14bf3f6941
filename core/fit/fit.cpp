#include "core/fit/fit.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/error.h"
#include "core/fit/joint_fit.h"
#include "core/fit/site_network.h"
#include "core/fit/sweeps.h"

namespace rankfold {
namespace {

/// The sum of all sites' histories: one that is done keeps its last residual.
std::vector<double> sum_histories(const std::vector<FitHistory>& histories) {
  std::size_t length = 0;
  for (const FitHistory& history : histories) length = std::max(length, history.residuals.size());
  std::vector<double> sum(length, 0.0);
  for (const FitHistory& history : histories)
    for (std::size_t i = 0; i < length && !history.residuals.empty(); ++i)
      sum[i] += history.residuals[std::min(i, history.residuals.size() - 1)];
  return sum;
}

/// One fit of a method to a source.
template <class T>
class Fit {
 public:
  Fit(const Method& method, Adapter<T>& adapter, const MethodSettings& settings,
      const UpdateSource<T>& source, const FitSettings& fit, std::shared_ptr<const Backend> backend,
      const std::function<void(std::size_t)>& progress)
      : method_(method),
        adapter_(adapter),
        source_(source),
        fit_(fit),
        backend_(std::move(backend)),
        progress_(progress),
        networks_(compile_sites(method, adapter, settings)) {
    for (const Parameter<T>& parameter : adapter.parameters())
      parameters_.push_back({parameter.value.size(), parameter.trainable});
  }

  FitReport run() {
    const std::vector<std::vector<std::size_t>> sets = connected_sites(networks_, parameters_);
    std::vector<std::function<void(FitHistory&)>> jobs;
    for (const std::vector<std::size_t>& sites : sets) {
      if (networks_[sites.front()].terms.empty()) continue;
      if (std::optional<JointNetwork> joint = join_sites(networks_, sites, parameters_))
        jobs.push_back(plan_joint(std::move(*joint)));
      else
        jobs.push_back(plan_apart(sites));
    }
    std::vector<FitHistory> histories(jobs.size());
    for_each(jobs.size(), [&](std::size_t i) { jobs[i](histories[i]); });
    FitReport report = measure();
    const double whole = std::max(total_, 1e-300);
    for (const double residual : sum_histories(histories))
      report.convergence.push_back(std::sqrt(std::max(0.0, residual) / whole));
    report.iterations = report.convergence.size();
    if (report.convergence.empty()) report.convergence.push_back(report.relative_error);
    for (const FitHistory& history : histories)
      report.starts = std::max(report.starts, history.starts);
    return report;
  }

 private:
  std::string describe(std::size_t site) const {
    return fmt::format("[{}] site {}", method_.name, adapter_.stack().sites[site].name);
  }

  void count_done(std::size_t sites) {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    progress_(done_ += sites);
  }

  std::function<void(FitHistory&)> plan_joint(JointNetwork joint) {
    const Site& site = adapter_.stack().sites[joint.sites.front()];
    const FitBlock block = joint.block();
    if (!joint_plan_ || !joint_plan_->suits(block, site))
      joint_plan_ = std::make_shared<JointPlan<T>>(joint, site, fit_, backend_);
    return [this, plan = joint_plan_, joint = std::move(joint)](FitHistory& history) {
      const std::vector<std::vector<double>> values = plan->fit(
          source_, joint.sites, fit_, adapter_.stack().sites[joint.sites.front()].name,
          [this](std::size_t index) { return describe(index); }, history);
      for (std::size_t k = 0; k < values.size(); ++k) write(joint.copies[k], values[k]);
      count_done(joint.sites.size());
    };
  }

  /// Copies one after the other, contiguous, into the adapter's parameters.
  void write(const JointNetwork::Copies& copies, const std::vector<double>& values) {
    const double* from = values.data();
    for (const auto& [parameter, offset] : copies.places) {
      T* to = adapter_.parameters()[parameter].value.data() + offset;
      const auto walk = [&](auto&& self, std::size_t depth, std::size_t at) -> void {
        if (depth == copies.axes.size()) {
          to[at] = static_cast<T>(*from++);
          return;
        }
        for (std::size_t i = 0; i < copies.axes[depth].size; ++i)
          self(self, depth + 1, at + i * copies.axes[depth].stride);
      };
      walk(walk, 0, 0);
    }
  }

  /// Sites without a joint form: every site a block of its own, parameters as the adapter has them.
  std::function<void(FitHistory&)> plan_apart(const std::vector<std::size_t>& sites) {
    std::vector<std::size_t> used;
    std::vector<FitBlock> blocks;
    for (const std::size_t site : sites) {
      FitBlock block{networks_[site].data, networks_[site].terms};
      for (FitTerm& term : block.terms)
        for (FitOperand& operand : term.operands) {
          const auto found = std::ranges::find(used, operand.parameter);
          const auto number = static_cast<std::size_t>(found - used.begin());
          if (found == used.end()) used.push_back(operand.parameter);
          operand.parameter = number;
        }
      blocks.push_back(std::move(block));
    }
    std::vector<FitParameter> parameters;
    for (const std::size_t parameter : used) parameters.push_back(parameters_[parameter]);
    auto problem =
        std::make_shared<LeastSquares<T>>(std::move(blocks), std::move(parameters), backend_);
    return [this, sites, used, problem](FitHistory& history) {
      FitState<T> state = problem->make_state();
      for (std::size_t i = 0; i < used.size(); ++i) {
        const auto values = adapter_.parameters()[used[i]].value.span();
        state.set(i, {values.begin(), values.end()});
      }
      std::vector<std::vector<T>> scratch(sites.size());
      FitData<T> data;
      for (std::size_t i = 0; i < sites.size(); ++i) {
        const std::size_t size = volume(networks_[sites[i]].data);
        const T* matrix = source_.read(sites[i], scratch[i]);
        if (problem->has_constant_part()) {
          std::vector<T> copy(matrix, matrix + size);
          problem->remove_constant_part(i, copy.data(), state);
          scratch[i] = std::move(copy);
          matrix = scratch[i].data();
        }
        const double square = sum_of_squares(matrix, size);
        if (!std::isfinite(square))
          throw Error("{}: holds numbers that are not finite", describe(sites[i]));
        data.square += square;
        data.blocks.push_back(matrix);
      }
      run_starts(*problem, data, fit_, fit_.starts.value_or(1), fit_.iterations.value_or(100),
                 adapter_.stack().sites[sites.front()].name, state, history);
      for (std::size_t i = 0; i < used.size(); ++i)
        if (parameters_[used[i]].trainable)
          std::ranges::copy(state.rounded[i], adapter_.parameters()[used[i]].value.data());
      for (const std::size_t site : sites) source_.release(site);
      count_done(sites.size());
    };
  }

  /// Errors of all sites, from the factors as they are stored.
  FitReport measure() {
    const std::vector<Site>& sites = adapter_.stack().sites;
    // One plan for neighbours of one structure.
    std::vector<std::shared_ptr<std::vector<FitProduct<T>>>> products(sites.size());
    for (std::size_t i = 0; i < sites.size(); ++i) {
      if (i > 0 && same_products(networks_[i - 1], networks_[i])) {
        products[i] = products[i - 1];
        continue;
      }
      products[i] = std::make_shared<std::vector<FitProduct<T>>>();
      for (const FitTerm& term : networks_[i].terms) {
        std::vector<std::vector<Axis>> axes;
        for (const FitOperand& operand : term.operands) axes.push_back(operand.axes);
        products[i]->emplace_back(axes, networks_[i].data);
      }
    }
    FitReport report;
    report.site_errors.assign(sites.size(), 0.0);
    std::vector<double> squares(sites.size()), residuals(sites.size());
    for_each(sites.size(), [&](std::size_t i) {
      const std::size_t size = sites[i].out * sites[i].in;
      std::vector<T> scratch;
      Buffer<T> dense(backend_, size);
      ProductMemory<T> memory;
      for (std::size_t t = 0; t < networks_[i].terms.size(); ++t) {
        const FitTerm& term = networks_[i].terms[t];
        std::vector<const T*> operands;
        for (const FitOperand& operand : term.operands)
          operands.push_back(adapter_.parameters()[operand.parameter].value.data() +
                             operand.offset);
        (*products[i])[t].run(*backend_, operands, static_cast<T>(term.scale), dense.data(), t == 0,
                              memory);
      }
      const T* matrix = source_.read(i, scratch);
      squares[i] = sum_of_squares(matrix, size);
      T* difference = dense.data();
      for (std::size_t j = 0; j < size; ++j) difference[j] = matrix[j] - difference[j];
      residuals[i] = sum_of_squares(difference, size);
      report.site_errors[i] = std::sqrt(residuals[i] > 0 ? residuals[i] / squares[i] : 0);
      source_.release(i);
    });
    double residual = 0;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      total_ += squares[i];
      residual += residuals[i];
    }
    report.relative_error = residual > 0 ? std::sqrt(residual / total_) : 0;
    return report;
  }

  static bool same_products(const SiteNetwork& a, const SiteNetwork& b) {
    const auto equal = [](const std::vector<Axis>& x, const std::vector<Axis>& y) {
      return std::ranges::equal(x, y, [](const Axis& p, const Axis& q) {
        return p.mode == q.mode && p.size == q.size && p.stride == q.stride;
      });
    };
    return equal(a.data, b.data) &&
           std::ranges::equal(a.terms, b.terms, [&](const FitTerm& x, const FitTerm& y) {
             return std::ranges::equal(x.operands, y.operands, equal, &FitOperand::axes,
                                       &FitOperand::axes);
           });
  }

  const Method& method_;
  Adapter<T>& adapter_;
  const UpdateSource<T>& source_;
  const FitSettings& fit_;
  std::shared_ptr<const Backend> backend_;
  const std::function<void(std::size_t)>& progress_;
  std::vector<SiteNetwork> networks_;
  std::vector<FitParameter> parameters_;
  std::shared_ptr<JointPlan<T>> joint_plan_;
  std::mutex mutex_;
  std::size_t done_ = 0;
  double total_ = 0;  ///< |D|^2
};

/// The adapter to be fitted, its frozen factors drawn.
template <class T>
std::unique_ptr<Adapter<T>> make_adapter_to_fit(const Method& method, const Stack& stack,
                                                const MethodSettings& settings, std::uint64_t seed,
                                                std::shared_ptr<const Backend> backend) {
  std::unique_ptr<Adapter<T>> adapter = make_adapter<T>(method, stack, settings, backend);
  const auto is_frozen = [](const Parameter<T>& parameter) { return !parameter.trainable; };
  if (std::ranges::any_of(adapter->parameters(), is_frozen)) adapter->initialise(seed);
  return adapter;
}

}  // namespace

void expect_fittable(const Method& method, const Stack& stack, const MethodSettings& settings) {
  const auto adapter =
      make_adapter_to_fit<float>(method, stack, settings, 0, make_openblas_backend());
  compile_sites(method, *adapter, settings);
}

template <class T>
FittedUpdates<T> fit_updates(const Method& method, const Stack& stack,
                             const MethodSettings& settings, const UpdateSource<T>& source,
                             const FitSettings& fit, std::shared_ptr<const Backend> backend,
                             const std::function<void(std::size_t)>& progress) {
  FittedUpdates<T> result;
  result.adapter = make_adapter_to_fit<T>(method, stack, settings, fit.seed, backend);
  Fit<T> work(method, *result.adapter, settings, source, fit, backend, progress);
  result.report = work.run();
  return result;
}

template FittedUpdates<float> fit_updates(const Method&, const Stack&, const MethodSettings&,
                                          const UpdateSource<float>&, const FitSettings&,
                                          std::shared_ptr<const Backend>,
                                          const std::function<void(std::size_t)>&);
template FittedUpdates<double> fit_updates(const Method&, const Stack&, const MethodSettings&,
                                           const UpdateSource<double>&, const FitSettings&,
                                           std::shared_ptr<const Backend>,
                                           const std::function<void(std::size_t)>&);

}  // namespace rankfold
