#include "core/adapter/adapter.h"

#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

template <class T>
bool overlap(MatrixView<const T> first, MatrixView<const T> second) {
  const auto end = [](MatrixView<const T> view) {
    return view.rows == 0 ? view.data : view.row(view.rows - 1) + view.columns;
  };
  const std::less<const T*> before;
  return before(first.data, end(second)) && before(second.data, end(first));
}

/// The same, but columns of one matrix do not overlap when they are different ones.
template <class T>
bool share_columns(MatrixView<const T> first, MatrixView<const T> second) {
  if (!overlap(first, second)) return false;
  if (first.stride != second.stride) return true;
  const bool in_order = !std::less<const T*>()(second.data, first.data);
  if (!in_order) std::swap(first, second);
  const std::size_t offset = static_cast<std::size_t>(second.data - first.data) % first.stride;
  return offset < first.columns || offset + second.columns > first.stride;
}

/// Throws unless the matrix is rows x columns with a row stride that holds a row. `where` makes the
/// text in front of the error, when there is one.
template <class T, class Where>
void expect_shape(const Where& where, const char* name, MatrixView<T> view, std::size_t rows,
                  std::size_t columns) {
  if (view.rows != rows || view.columns != columns || view.stride < columns ||
      (!view.data && rows * columns != 0))
    throw Error("{}: {} is {}x{} with stride {}{}, expected {}x{}", where(), name, view.rows,
                view.columns, view.stride, view.data ? "" : " and no memory", rows, columns);
}

template <class T, class Where>
void expect_apart(const Where& where, const char* first_name, MatrixView<const T> first,
                  const char* second_name, MatrixView<const T> second) {
  if (overlap(first, second))
    throw Error("{}: {} and {} share memory", where(), first_name, second_name);
}

template <class T>
void fill_orthogonal(std::span<T> values, const std::vector<std::size_t>& shape, double scale,
                     const RandomStream& stream) {
  const std::size_t rows = shape.empty() ? 1 : shape.front(),
                    columns = rows == 0 ? 0 : values.size() / rows;
  const std::size_t height = std::max(rows, columns), width = std::min(rows, columns);
  std::vector<double> drawn(height * width);
  stream.fill_normal(std::span(drawn), 0.0, 1.0);
  const std::vector<double> basis = orthonormal_columns({drawn.data(), height, width});
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t column = 0; column < columns; ++column)
      values[row * columns + column] = static_cast<T>(
          scale * (rows >= columns ? basis[row * width + column] : basis[column * width + row]));
}

std::string describe(const std::string& method, const Stack& stack, std::size_t site) {
  if (site >= stack.sites.size())
    throw Error("[{}] site {} does not exist, the stack has {}", method, site, stack.sites.size());
  return fmt::format("[{}] site {}", method, stack.sites[site].name);
}

}  // namespace

template <class T>
Adapter<T>::Adapter(std::string method, Stack stack, std::vector<Place> places,
                    std::shared_ptr<const Device> device)
    : method_(std::move(method)),
      stack_(std::move(stack)),
      places_(std::move(places)),
      device_(std::move(device)),
      frozen_(stack_.sites.size()) {}

template <class T>
Parameter<T>& Adapter<T>::parameter(std::string_view name) {
  const auto found = std::ranges::find(parameters_, name, &Parameter<T>::name);
  if (found != parameters_.end()) return *found;
  std::vector<std::string> names;
  for (const Parameter<T>& parameter : parameters_) names.push_back(parameter.name);
  const std::string nearest = nearest_name(name, names);
  throw Error("[{}] has no parameter '{}'{}", method_, name,
              nearest.empty() ? "" : fmt::format("; the nearest is '{}'", nearest));
}

template <class T>
std::size_t Adapter<T>::parameter_count() const {
  std::size_t count = 0;
  for (const Parameter<T>& parameter : parameters_)
    if (parameter.trainable) count += parameter.value.size();
  return count;
}

template <class T>
void Adapter<T>::initialise(std::uint64_t seed) {
  for (Parameter<T>& parameter : parameters_) {
    const RandomStream stream(seed, fmt::format("initialise/{}/{}", method_, parameter.name));
    const HostWrite<T> write(parameter.value);
    const std::span<T> values = write.span();
    const double value = parameter.initialiser.value;
    switch (parameter.initialiser.kind) {
      case Initialiser::Kind::constant:
        std::ranges::fill(values, static_cast<T>(value));
        break;
      case Initialiser::Kind::uniform:
        stream.fill_uniform(values, -value, value);
        break;
      case Initialiser::Kind::normal:
        stream.fill_normal(values, 0.0, value);
        break;
      case Initialiser::Kind::orthogonal:
        fill_orthogonal(values, parameter.shape, value, stream);
        break;
    }
  }
  do_start(seed);
}

template <class T>
void Adapter<T>::set_samples(std::vector<SiteSamples> samples) {
  if (!samples.empty() && samples.size() != stack_.sites.size())
    throw Error("[{}] got samples of {} sites, expected {}", method_, samples.size(),
                stack_.sites.size());
  for (std::size_t index = 0; index < samples.size(); ++index) {
    const Site& site = stack_.sites[index];
    const auto check = [&](const char* what, std::size_t found, std::size_t expected) {
      if (found != 0 && found != expected)
        throw Error("[{}] site {}: got {} of {} numbers, expected {}", method_, site.name, what,
                    found, expected);
    };
    check("input moments", samples[index].input_moments.size(), site.in * site.in);
    check("a gradient", samples[index].weight_gradient.size(), site.out * site.in);
  }
  samples_ = std::move(samples);
}

template <class T>
void Adapter<T>::zero_gradients() {
  for (Parameter<T>& parameter : parameters_)
    device_->fill(parameter.gradient.size(), T{0}, parameter.gradient.data());
}

template <class T>
void Adapter<T>::set_frozen(std::vector<FrozenLinear<T>> frozen) {
  if (frozen.size() != stack_.sites.size())
    throw Error("[{}] got {} frozen layers, expected one for each of {} sites", method_,
                frozen.size(), stack_.sites.size());
  frozen_ = std::move(frozen);
}

template <class T>
Place Adapter<T>::place(std::size_t site) const {
  check_site(site);
  return places_[site];
}

template <class T>
const FrozenLinear<T>& Adapter<T>::frozen(std::size_t site) const {
  check_site(site);
  return frozen_[site];
}

template <class T>
bool Adapter<T>::is_weight_update() const {
  for (std::size_t site = 0; site < stack_.sites.size(); ++site)
    if (!is_weight_update(site)) return false;
  return true;
}

template <class T>
void Adapter<T>::reconstruct(std::size_t site, MatrixView<T> delta) const {
  const auto where = [&] { return describe(method_, stack_, site); };
  check_site(site);
  if (is_virtual(stack_.sites[site].matrix))
    throw Error("{}: virtual tokens are no update of a weight", where());
  if (!is_weight_update(site))
    throw Error(
        "{}: the method acts {} the frozen weight by a map that is not linear, so it is no "
        "update of it",
        where(),
        places_[site] == Place::after    ? "after"
        : places_[site] == Place::before ? "before"
                                         : "beside");
  expect_shape(where, "dW", delta, stack_.sites[site].out, stack_.sites[site].in);
  do_reconstruct(site, delta);
}

template <class T>
void Adapter<T>::check_site(std::size_t site) const {
  if (site >= stack_.sites.size()) describe(method_, stack_, site);  // throws
}

template <class T>
template <class Matrix>
void Adapter<T>::check_call(std::span<const SiteMatrix<Matrix>> sites, const char* name,
                            MatrixView<const T> x) const {
  if (sites.empty() || sites.size() > most_sites_a_call)
    throw Error("[{}] a call on {} sites, expected 1 to {}", method_, sites.size(),
                most_sites_a_call);
  for (const SiteMatrix<Matrix>& entry : sites) {
    check_site(entry.site);
    const auto where = [&] { return describe(method_, stack_, entry.site); };
    expect_shape(where, "X", x, x.rows, stack_.sites[entry.site].in);
    expect_shape(where, name, entry.matrix, x.rows, stack_.sites[entry.site].out);
    expect_apart<T>(where, "X", x, name, entry.matrix);
    if (places_[entry.site] == Place::before && !frozen_[entry.site].weight)
      throw Error("{}: acts before the frozen weight, which was not given", where());
    for (const SiteMatrix<Matrix>* other = sites.data(); other != &entry; ++other) {
      if (other->site == entry.site) throw Error("{}: stands twice in one call", where());
      if (std::string_view(name) == "Y" && share_columns<T>(entry.matrix, other->matrix))
        throw Error("{}: Y shares memory with that of site {}", where(),
                    stack_.sites[other->site].name);
    }
  }
}

template <class T>
void Adapter<T>::forward(std::span<const SiteMatrix<T>> outputs, MatrixView<const T> x,
                         Trace<T>* trace, Bias bias) const {
  check_call(outputs, "Y", x);
  if (bias == Bias::omit)
    for (const SiteMatrix<T>& output : outputs)
      if (places_[output.site] != Place::beside)
        throw Error("{}: the method does not act beside the weight, so it needs the bias",
                    describe(method_, stack_, output.site));
  if (trace) {
    trace->tokens = x.rows;
    trace->sites.clear();
    for (const SiteMatrix<T>& output : outputs) trace->sites.push_back(output.site);
    trace->dropout = dropout_;
    trace->call = dropout_calls_++;
  }
  if (x.rows != 0) do_forward(outputs, x, trace, bias);
}

template <class T>
void Adapter<T>::forward(std::size_t site, MatrixView<const T> x, MatrixView<T> y,
                         Trace<T>* trace) const {
  const SiteMatrix<T> output{site, y};
  forward(std::span(&output, 1), x, trace);
}

template <class T>
void Adapter<T>::backward(std::span<const SiteMatrix<const T>> d_outputs, MatrixView<const T> x,
                          const Trace<T>& trace, MatrixView<T> dx, Into into) {
  check_call(d_outputs, "dY", x);
  if (dx.data)
    for (const SiteMatrix<const T>& entry : d_outputs) {
      const auto where = [&] { return describe(method_, stack_, entry.site); };
      expect_shape(where, "dX", dx, x.rows, stack_.sites[entry.site].in);
      expect_apart<T>(where, "X", x, "dX", dx);
      expect_apart<T>(where, "dY", entry.matrix, "dX", dx);
    }
  if (trace.tokens != x.rows ||
      !std::ranges::equal(trace.sites, d_outputs, {}, {}, &SiteMatrix<const T>::site))
    throw Error(
        "{}: backward got the trace of a forward call on {} rows of {} sites, expected that "
        "of these {} rows of {}",
        describe(method_, stack_, d_outputs.front().site), trace.tokens, trace.sites.size(), x.rows,
        d_outputs.size());
  if (x.rows != 0) do_backward(d_outputs, x, trace, dx, into);
}

template <class T>
void Adapter<T>::backward(std::size_t site, MatrixView<const T> x, MatrixView<const T> dy,
                          const Trace<T>& trace, MatrixView<T> dx) {
  const SiteMatrix<const T> d_output{site, dy};
  backward(std::span(&d_output, 1), x, trace, dx);
}

template <class T>
void Adapter<T>::set_dropout(const AdapterDropout& dropout) {
  if (!(dropout.probability >= 0 && dropout.probability < 1))
    throw Error("[{}] the adapter's dropout is {}, expected 0 or more, below 1", method_,
                dropout.probability);
  if (dropout.probability > 0 && dropout_.probability == 0)
    for (std::size_t site = 0; site < stack_.sites.size(); ++site)
      if (const std::string obstacle = dropout_obstacle(site); !obstacle.empty())
        throw Error("{}: dropout of the adapter's input means nothing here: the method {}",
                    describe(method_, stack_, site), obstacle);
  dropout_ = dropout;
  dropout_calls_ = 0;
}

template <class T>
Plan Adapter<T>::plan(std::span<const std::size_t> sites, std::size_t tokens, bool training) const {
  if (sites.empty() || sites.size() > most_sites_a_call)
    throw Error("[{}] a plan for {} sites, expected 1 to {}", method_, sites.size(),
                most_sites_a_call);
  for (const std::size_t site : sites) {
    check_site(site);
    if (stack_.sites[site].in != stack_.sites[sites.front()].in)
      throw Error("{}: has inputs of {} numbers, expected {} as the other sites of the plan",
                  describe(method_, stack_, site), stack_.sites[site].in,
                  stack_.sites[sites.front()].in);
  }
  return do_plan(sites, tokens, training);
}

template class Adapter<float>;
template class Adapter<double>;

}  // namespace rankfold
