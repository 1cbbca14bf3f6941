#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "core/base/safetensors_header.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

void check(const std::filesystem::path& file, const TensorToWrite& tensor) {
  const std::string name = printable(tensor.name, 200);
  if (tensor.name == "__metadata__")
    throw Error("{}: a tensor cannot be named '{}'", printable(file.string()), name);
  const std::optional<std::size_t> size = tensor_size(tensor.shape, tensor.type);
  if (!size)
    throw Error("{}: the shape of tensor '{}' is too large", printable(file.string()), name);
  if (*size != tensor.bytes.size())
    throw Error("{}: tensor '{}' is given {} bytes, expected {} for its shape as {}",
                printable(file.string()), name, tensor.bytes.size(), *size,
                data_type_name(tensor.type));
}

/// Every tensor once, in the order of the data.
std::vector<const TensorToWrite*> arranged(const std::filesystem::path& file,
                                           std::span<const TensorToWrite> tensors) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) {
    check(file, tensor);
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(),
            [](const TensorToWrite* a, const TensorToWrite* b) { return a->name < b->name; });
  const auto twice = std::adjacent_find(
      order.begin(), order.end(),
      [](const TensorToWrite* a, const TensorToWrite* b) { return a->name == b->name; });
  if (twice != order.end())
    throw Error("{}: two tensors are named '{}'", printable(file.string()),
                printable((*twice)->name, 200));
  std::stable_sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return data_type_size(a->type) > data_type_size(b->type);
  });
  return order;
}

std::string header_of(const std::filesystem::path& file,
                      const std::vector<const TensorToWrite*>& tensors,
                      const std::map<std::string, std::string>& metadata) try {
  std::vector<std::string> members;
  if (!metadata.empty())
    members.push_back(fmt::format(R"("__metadata__":{})", nlohmann::json(metadata).dump()));
  std::size_t begin = 0;
  for (const TensorToWrite* tensor : tensors) {
    const std::size_t end = begin + tensor->bytes.size();
    members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})",
                                  nlohmann::json(tensor->name).dump(), data_type_name(tensor->type),
                                  nlohmann::json(tensor->shape).dump(), begin, end));
    begin = end;
  }
  std::string header = fmt::format("{{{}}}", join(members, ","));
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > safetensors_header_limit)
    throw Error("{}: its header would have {} bytes, the format allows {}",
                printable(file.string()), header.size(), safetensors_header_limit);
  return header;
} catch (const nlohmann::json::exception&) {
  throw Error("{}: the name of a tensor or a metadata text is not UTF-8", printable(file.string()));
}

template <class Value>
TensorToWrite view(std::string name, DataType type, std::vector<std::size_t> shape,
                   std::span<const Value> values) {
  return {std::move(name), type, std::move(shape), std::as_bytes(values)};
}

}  // namespace

TensorToWrite make_tensor(std::string name, std::vector<std::size_t> shape,
                          std::span<const float> values) {
  return view(std::move(name), DataType::f32, std::move(shape), values);
}

TensorToWrite make_tensor(std::string name, std::vector<std::size_t> shape,
                          std::span<const double> values) {
  return view(std::move(name), DataType::f64, std::move(shape), values);
}

TensorToWrite make_tensor(std::string name, std::vector<std::size_t> shape,
                          std::span<const std::int64_t> values) {
  return view(std::move(name), DataType::i64, std::move(shape), values);
}

void write_safetensors(const std::filesystem::path& file, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::vector<const TensorToWrite*> order = arranged(file, tensors);
  const std::string header = header_of(file, order, metadata);
  const std::uint64_t length = header.size();
  AtomicFile output(file);
  output.write(&length, sizeof(length));
  output.write(header.data(), header.size());
  for (const TensorToWrite* tensor : order)
    output.write(tensor->bytes.data(), tensor->bytes.size());
  output.commit();
}

}  // namespace rankfold
