#include "core/fit/fit.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <map>
#include <mutex>

#include "core/base/error.h"
#include "core/fit/adapter_to_fit.h"
#include "core/fit/apart_fit.h"
#include "core/fit/in_factor.h"
#include "core/fit/joint_fit.h"
#include "core/fit/measure.h"
#include "core/fit/scaled_source.h"
#include "core/fit/site_network.h"
#include "core/fit/sweeps.h"

namespace rankfold {
namespace {

/// Products of updates and roots are kept up to this size, else formed whenever they are read.
constexpr std::size_t kept_products = std::size_t{2} << 30;

/// The sum of all sites' histories, each times its factor: one that is done keeps its last
/// residual.
std::vector<double> sum_histories(const std::vector<FitHistory>& histories,
                                  const std::vector<double>& factors) {
  std::size_t length = 0;
  for (const FitHistory& history : histories) length = std::max(length, history.residuals.size());
  std::vector<double> sum(length, 0.0);
  for (std::size_t h = 0; h < histories.size(); ++h) {
    const std::vector<double>& residuals = histories[h].residuals;
    for (std::size_t i = 0; i < length && !residuals.empty(); ++i)
      sum[i] += factors[h] * residuals[std::min(i, residuals.size() - 1)];
  }
  return sum;
}

void expect_metrics(const InputMetrics& metrics, const Stack& stack) {
  if (metrics.of_site.size() != stack.sites.size())
    throw Error("fit: inputs of {} sites, expected {}", metrics.of_site.size(), stack.sites.size());
  for (std::size_t i = 0; i < stack.sites.size(); ++i)
    if (metrics.of_site[i] >= metrics.metrics.size() || metrics.at(i).size != stack.sites[i].in)
      throw Error("fit: site {} has inputs of another size than its {}", stack.sites[i].name,
                  stack.sites[i].in);
}

/// One fit of a method to a source.
template <class T>
class Fit {
 public:
  Fit(const Method& method, Adapter<T>& adapter, const MethodSettings& settings,
      const UpdateSource<T>& source, const FitSettings& fit, std::shared_ptr<const Device> device,
      const std::function<void(std::size_t)>& progress)
      : method_(method),
        adapter_(adapter),
        fit_(fit),
        device_(std::move(device)),
        progress_(progress),
        networks_(compile_sites(method, adapter, settings)) {
    for (const Parameter<T>& parameter : adapter.parameters())
      parameters_.push_back({parameter.value.size(), parameter.trainable});
    sets_ = connected_sites(networks_, parameters_);
    find_scales(source);
  }

  FitReport run() {
    const std::vector<FitHistory> histories = run_jobs(plan_sets(*source_, nullptr));
    const SiteResiduals left = in_units(measure(networks_, adapter_, *source_, device_));
    FitReport report = summarise(histories, left);
    if (report.convergence.empty()) report.convergence.push_back(report.relative_error);
    take_units_out();
    return report;
  }

  /// The plain fit, then the weighted one from it.
  FitReport run(const InputMetrics& metrics) requires std::same_as<T, double> {
    passes_ = 2;
    const WeightedSource weighted(*source_, metrics, adapter_.stack(), *device_, kept_products);
    // Planned first: what is refused is refused before anything runs.
    const std::vector<Job> jobs = plan_sets(weighted, &metrics);
    run_jobs(plan_sets(*source_, nullptr));
    const SiteResiduals before =
        in_units(measure_weighted(networks_, adapter_, weighted, metrics, device_));
    std::vector<std::vector<double>> plain;
    for (const Parameter<T>& parameter : adapter_.parameters())
      plain.emplace_back(parameter.value.span().begin(), parameter.value.span().end());
    const std::vector<FitHistory> histories = run_jobs(jobs);
    SiteResiduals after =
        in_units(measure_weighted(networks_, adapter_, weighted, metrics, device_));
    for (const std::vector<std::size_t>& sites : sets_) {
      double gain = 0;
      for (const std::size_t site : sites)
        gain += before.left[site] * before.left[site] - after.left[site] * after.left[site];
      if (gain >= 0) continue;
      for (const std::size_t site : sites) {
        after.left[site] = before.left[site];
        for (const FitTerm& term : networks_[site].terms)
          for (const FitOperand& operand : term.operands)
            std::ranges::copy(plain[operand.parameter],
                              adapter_.parameters()[operand.parameter].value.data());
      }
    }
    FitReport report = summarise(histories, after);
    if (report.convergence.empty()) report.convergence.push_back(report.relative_error);
    report.weighted = {report.relative_error, report.site_errors, before.relative_error()};
    const SiteResiduals left = in_units(measure(networks_, adapter_, *source_, device_));
    report.relative_error = left.relative_error();
    report.site_errors = left.site_errors();
    take_units_out();
    return report;
  }

 private:
  using Job = std::function<void(FitHistory&)>;

  /// The units that sets of sites are fitted in, and the source in these.
  void find_scales(const UpdateSource<T>& source) {
    const std::vector<Site>& sites = adapter_.stack().sites;
    std::vector<double> largest(sites.size());
    for_each(sites.size(), [&](std::size_t site) {
      largest[site] = source.largest(site, sites[site].out * sites[site].in);
      if (std::isnan(largest[site]))
        throw Error("{}: holds numbers that are not finite", describe(site));
    });
    exponents_.assign(sites.size(), 0);
    for (const std::vector<std::size_t>& set : sets_) {
      double most = 0;
      for (const std::size_t site : set) most = std::max(most, largest[site]);
      scales_.push_back(find_scale<T>(networks_, set, parameters_, most, describe(set.front())));
      for (const std::size_t site : set) exponents_[site] = scales_.back().exponent;
    }
    source_ = std::make_unique<ScaledSource<T>>(source, sites, exponents_);
  }

  SiteResiduals in_units(SiteResiduals measured) const {
    measured.exponents = exponents_;
    return measured;
  }

  /// The factors of the updates themselves from those of the updates in their units.
  void take_units_out() {
    for (const FitScale& scale : scales_)
      for (const std::size_t carrier : scale.carriers)
        for (T& value : adapter_.parameters()[carrier].value.span())
          value = std::scalbn(value, scale.exponent);
  }

  /// A fit of every set of sites to the source's matrices; with metrics these are weighted ones.
  std::vector<Job> plan_sets(const UpdateSource<T>& source, const InputMetrics* metrics) {
    std::vector<Job> jobs;
    job_exponents_.clear();
    for (std::size_t set = 0; set < sets_.size(); ++set) {
      const std::vector<std::size_t>& sites = sets_[set];
      if (networks_[sites.front()].terms.empty()) continue;
      if (scales_[set].zero && !scales_[set].carriers.empty()) {
        take_zero(scales_[set]);
        count_done(sites.size());
        continue;
      }
      job_exponents_.push_back(scales_[set].exponent);
      std::optional<JointNetwork> joint = join_sites(networks_, sites, parameters_);
      if (joint && metrics && !find_in_factor(*joint, *metrics)) joint.reset();
      jobs.push_back(joint ? plan_joint(std::move(*joint), source, metrics)
                           : plan_apart(sites, source, metrics));
    }
    return jobs;
  }

  void take_zero(const FitScale& scale) {
    for (const std::size_t carrier : scale.carriers)
      std::ranges::fill(adapter_.parameters()[carrier].value.span(), T{0});
  }

  static std::vector<FitHistory> run_jobs(const std::vector<Job>& jobs) {
    std::vector<FitHistory> histories(jobs.size());
    for_each(jobs.size(), [&](std::size_t i) { jobs[i](histories[i]); });
    return histories;
  }

  FitReport summarise(const std::vector<FitHistory>& histories, const SiteResiduals& left) const {
    FitReport report;
    report.relative_error = left.relative_error();
    report.site_errors = left.site_errors();
    const double whole = std::max(left.size() * left.size(), 1e-300);
    std::vector<double> factors;  // residuals are squares
    for (const int exponent : job_exponents_)
      factors.push_back(std::scalbn(1.0, 2 * (exponent - left.unit())));
    for (const double residual : sum_histories(histories, factors))
      report.convergence.push_back(std::sqrt(std::max(0.0, residual) / whole));
    report.iterations = report.convergence.size();
    for (const FitHistory& history : histories)
      report.starts = std::max(report.starts, history.starts);
    return report;
  }

  std::string describe(std::size_t site) const {
    return fmt::format("[{}] site {}", method_.name, adapter_.stack().sites[site].name);
  }

  void count_done(std::size_t sites) {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    done_ += sites;
    progress_(done_ / passes_);
  }

  Job plan_joint(JointNetwork joint, const UpdateSource<T>& source, const InputMetrics* metrics) {
    const Site& site = adapter_.stack().sites[joint.sites.front()];
    const FitBlock block = joint.block();
    if (!joint_plan_ || !joint_plan_->suits(block, site))
      joint_plan_ = std::make_shared<JointPlan<T>>(joint, site, fit_, device_);
    return [this, &source, metrics, plan = joint_plan_,
            joint = std::move(joint)](FitHistory& history) {
      std::vector<std::vector<double>> values = plan->fit(
          source, joint.sites, fit_, adapter_.stack().sites[joint.sites.front()].name,
          [this](std::size_t index) { return describe(index); }, history);
      if (metrics) take_roots_out(joint, *metrics, values);
      for (std::size_t k = 0; k < values.size(); ++k) write(joint.copies[k], values[k]);
      count_done(joint.sites.size());
    };
  }

  static void take_roots_out(const JointNetwork& joint, const InputMetrics& metrics,
                             std::vector<std::vector<double>>& values) {
    const JointInFactor factor = find_in_factor(joint, metrics).value();
    std::vector<double>& copies = values[factor.operand];
    const std::size_t size = copies.size() / factor.metrics.size();
    for (std::size_t copy = 0; copy < factor.metrics.size(); ++copy)
      take_root_out(metrics.metrics[factor.metrics[copy]], factor.stride,
                    copies.data() + copy * size, size);
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

  Job plan_apart(const std::vector<std::size_t>& sites, const UpdateSource<T>& source,
                 const InputMetrics* metrics) {
    const auto plan =
        std::make_shared<ApartFit<T>>(networks_, parameters_, sites, metrics, device_,
                                      [this](std::size_t index) { return describe(index); });
    return [this, &source, plan, size = sites.size()](FitHistory& history) {
      plan->fit(source, fit_, adapter_, history);
      count_done(size);
    };
  }

  const Method& method_;
  Adapter<T>& adapter_;
  std::unique_ptr<ScaledSource<T>> source_;
  const FitSettings& fit_;
  std::shared_ptr<const Device> device_;
  const std::function<void(std::size_t)>& progress_;
  std::vector<SiteNetwork> networks_;
  std::vector<FitParameter> parameters_;
  std::vector<std::vector<std::size_t>> sets_;  ///< of sites that are fitted together
  std::vector<FitScale> scales_;                ///< of each
  std::vector<int> exponents_;                  ///< of each site
  std::vector<int> job_exponents_;              ///< of each set that is fitted at all
  std::shared_ptr<JointPlan<T>> joint_plan_;
  std::mutex mutex_;
  std::size_t done_ = 0;
  std::size_t passes_ = 1;
};

}  // namespace

template <class T>
FittedUpdates<T> fit_updates(const Method& method, const Stack& stack,
                             const MethodSettings& settings, const UpdateSource<T>& source,
                             const FitSettings& fit, std::shared_ptr<const Device> device,
                             const std::function<void(std::size_t)>& progress) {
  const Method plain = as_updates(method);
  FittedUpdates<T> result;
  result.adapter = make_adapter_to_fit<T>(plain, stack, settings, source, fit.seed, device);
  Fit<T> work(plain, *result.adapter, settings, source, fit, device, progress);
  result.report = work.run();
  return result;
}

FittedUpdates<double> fit_weighted_updates(const Method& method, const Stack& stack,
                                           const MethodSettings& settings,
                                           const UpdateSource<double>& source,
                                           const InputMetrics& metrics, const FitSettings& fit,
                                           std::shared_ptr<const Device> device,
                                           const std::function<void(std::size_t)>& progress) {
  expect_metrics(metrics, stack);
  const Method plain = as_updates(method);
  FittedUpdates<double> result;
  result.adapter = make_adapter_to_fit<double>(plain, stack, settings, source, fit.seed, device);
  Fit<double> work(plain, *result.adapter, settings, source, fit, device, progress);
  result.report = work.run(metrics);
  return result;
}

template FittedUpdates<float> fit_updates(const Method&, const Stack&, const MethodSettings&,
                                          const UpdateSource<float>&, const FitSettings&,
                                          std::shared_ptr<const Device>,
                                          const std::function<void(std::size_t)>&);
template FittedUpdates<double> fit_updates(const Method&, const Stack&, const MethodSettings&,
                                           const UpdateSource<double>&, const FitSettings&,
                                           std::shared_ptr<const Device>,
                                           const std::function<void(std::size_t)>&);

}  // namespace rankfold
