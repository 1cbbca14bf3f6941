#include "core/fit/update_file.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace fs = std::filesystem;

std::optional<NamedProjection> read_module_name(const std::string& name) {
  struct Known {
    std::string_view ending;
    MatrixType matrix;
  };
  // Longer endings before those that they end with.
  static constexpr Known known[] = {
      {"attention.output.dense", MatrixType::o},
      {"attn.c_proj", MatrixType::o},
      {"attention.dense", MatrixType::o},
      {"intermediate.dense", MatrixType::up},
      {"output.dense", MatrixType::down},
      {"mlp.c_proj", MatrixType::down},
      {"q_proj", MatrixType::q},
      {"query_proj", MatrixType::q},
      {"query", MatrixType::q},
      {"q_lin", MatrixType::q},
      {"q", MatrixType::q},
      {"k_proj", MatrixType::k},
      {"key_proj", MatrixType::k},
      {"key", MatrixType::k},
      {"k_lin", MatrixType::k},
      {"k", MatrixType::k},
      {"v_proj", MatrixType::v},
      {"value_proj", MatrixType::v},
      {"value", MatrixType::v},
      {"v_lin", MatrixType::v},
      {"v", MatrixType::v},
      {"o_proj", MatrixType::o},
      {"out_proj", MatrixType::o},
      {"out_lin", MatrixType::o},
      {"o", MatrixType::o},
      {"gate_proj", MatrixType::gate},
      {"up_proj", MatrixType::up},
      {"down_proj", MatrixType::down},
      {"c_fc", MatrixType::up},
      {"fc1", MatrixType::up},
      {"fc2", MatrixType::down},
      {"lin1", MatrixType::up},
      {"lin2", MatrixType::down},
      {"ffn_output", MatrixType::down},
      {"ffn", MatrixType::up},
      {"in_proj", MatrixType::in_proj},
      {"pos_key_proj", MatrixType::position_k},
      {"pos_query_proj", MatrixType::position_q},
      {"pos_proj", MatrixType::position_k},
      {"pos_q_proj", MatrixType::position_q},
  };
  std::optional<std::size_t> layer;
  for (const std::string& part : split(name, '.'))
    if (!layer) layer = parse_number<std::size_t>(part);
  if (!layer) return {};
  for (const Known& each : known) {
    if (!name.ends_with(each.ending)) continue;
    const std::size_t before = name.size() - each.ending.size();
    if (before == 0 || name[before - 1] == '.') return NamedProjection{each.matrix, *layer};
  }
  return {};
}

/// One matrix of a file: where its numbers lie and how to read them.
struct MatrixInFile {
  std::string tensor;               ///< of a .safetensors file
  std::size_t begin = 0, size = 0;  ///< of an array: its numbers
};

struct UpdateFile::Files {
  fs::path path, minus_path;
  std::optional<NumpyFile> array, minus_array;
  std::optional<SafetensorsFile> tensors, minus_tensors;
  std::vector<MatrixInFile> matrices;

  /// Values where they lie, or null where they have another type or are not aligned.
  template <class T>
  const T* in_place(bool minus, std::size_t index) const {
    constexpr DataType wanted = sizeof(T) == 4 ? DataType::f32 : DataType::f64;
    if (array) return (minus ? *minus_array : *array).in_place<T>(matrices[index].begin);
    const SafetensorsFile& file = minus ? *minus_tensors : *tensors;
    const TensorEntry& entry = file.at(matrices[index].tensor);
    if (entry.type != wanted) return nullptr;
    const std::byte* data = file.bytes(entry).data();
    return reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0
               ? reinterpret_cast<const T*>(data)
               : nullptr;
  }

  template <class T>
  std::vector<T> copy(bool minus, std::size_t index) const {
    if (tensors) return (minus ? *minus_tensors : *tensors).read<T>(matrices[index].tensor);
    const NumpyFile& file = minus ? *minus_array : *array;
    return file.read<T>(matrices[index].begin, matrices[index].size);
  }

  void release(std::size_t index) const {
    const auto drop = [&](const std::optional<NumpyFile>& numpy,
                          const std::optional<SafetensorsFile>& file) {
      if (numpy) numpy->release(matrices[index].begin, matrices[index].size);
      if (file) file->release(file->at(matrices[index].tensor));
    };
    drop(array, tensors);
    drop(minus_array, minus_tensors);
  }
};

namespace {

template <class T, class Files>
class FileSource final : public UpdateSource<T> {
 public:
  FileSource(const Files& files, std::vector<std::size_t> order, std::size_t bytes,
             std::size_t limit)
      : files_(files), order_(std::move(order)), keeps_(bytes <= limit), kept_(order_.size()) {
    for (std::size_t site = 0; site < order_.size(); ++site) {
      std::vector<T> scratch;
      const T* values = read(site, scratch);
      largest_.push_back(largest_magnitude(values, size_of(order_[site])));
      if (std::isnan(largest_.back())) refuse(site, values);
      if (keeps_ && values == scratch.data()) {
        kept_[site] = std::move(scratch);
        files_.release(order_[site]);
      }
      release(site);
    }
  }

  const T* read(std::size_t site, std::vector<T>& scratch) const override {
    if (!kept_[site].empty()) return kept_[site].data();
    const std::size_t index = order_[site];
    const T* values = files_.template in_place<T>(false, index);
    if (!has_minus() && values) return values;
    scratch = values ? std::vector<T>(values, values + size_of(index))
                     : files_.template copy<T>(false, index);
    if (has_minus()) {
      std::vector<T> copied;
      const T* other = files_.template in_place<T>(true, index);
      if (!other) {
        copied = files_.template copy<T>(true, index);
        other = copied.data();
      }
      for (std::size_t i = 0; i < scratch.size(); ++i) scratch[i] -= other[i];
    }
    return scratch.data();
  }

  double largest(std::size_t site, std::size_t) const override { return largest_[site]; }

  const T* frozen_weight(std::size_t site, std::vector<T>& scratch) const override {
    if (!has_minus()) return nullptr;
    if (const T* values = files_.template in_place<T>(true, order_[site])) return values;
    scratch = files_.template copy<T>(true, order_[site]);
    return scratch.data();
  }

  void release(std::size_t site) const override {
    if (!keeps_ && kept_[site].empty()) files_.release(order_[site]);
  }

 private:
  bool has_minus() const { return files_.minus_array || files_.minus_tensors; }
  std::size_t size_of(std::size_t index) const {
    return files_.array ? files_.matrices[index].size
                        : files_.tensors->at(files_.matrices[index].tensor).elements();
  }
  [[noreturn]] void refuse(std::size_t site, const T* values) const {
    const std::size_t index = order_[site], count = size_of(index);
    const auto found = std::find_if(values, values + count, [](T x) { return !std::isfinite(x); });
    const MatrixInFile& matrix = files_.matrices[index];
    throw Error("{}{}: {} holds {} at number {}, expected finite numbers",
                printable(files_.path.string()),
                has_minus() ? " minus " + printable(files_.minus_path.string()) : "",
                files_.array ? fmt::format("matrix {}", index)
                             : fmt::format("tensor {}", printable(matrix.tensor, 80)),
                *found, found - values);
  }

  const Files& files_;
  std::vector<std::size_t> order_;
  bool keeps_;
  std::vector<std::vector<T>> kept_;
  std::vector<double> largest_;
};

std::string module_of(const std::string& tensor) {
  constexpr std::string_view ending = ".weight";
  return tensor.ends_with(ending) && tensor.size() > ending.size()
             ? tensor.substr(0, tensor.size() - ending.size())
             : tensor;
}

bool is_floating(DataType type) {
  return type == DataType::f64 || type == DataType::f32 || type == DataType::f16 ||
         type == DataType::bf16;
}

}  // namespace

UpdateFile::UpdateFile(const fs::path& file, const fs::path& minus, std::size_t heads)
    : files_(std::make_unique<Files>()) {
  const std::string extension = file.extension().string();
  if (extension != ".npy" && extension != ".safetensors")
    throw UsageError("--input {}: expected a .npy or a .safetensors file", file.string());
  if (!minus.empty() && minus.extension() != file.extension())
    throw UsageError("--minus {}: expected a {} file as --input is", minus.string(), extension);
  files_->path = file;
  files_->minus_path = minus;
  has_minus_ = !minus.empty();
  std::vector<Site> sites;
  if (extension == ".npy") {
    const NumpyFile& array = files_->array.emplace(file);
    const std::vector<std::size_t>& shape = array.shape();
    if (shape.size() != 3 || array.size() == 0)
      throw Error(
          "{}: an array of {}, expected (layers, out, in)", file.string(),
          shape.empty() ? std::string("no mode") : fmt::format("{}", fmt::join(shape, " x ")));
    is_double_ = array.type() == DataType::f64;
    if (!minus.empty()) {
      const NumpyFile& other = files_->minus_array.emplace(minus);
      if (other.shape() != shape)
        throw Error("{}: an array of {}, expected {} as in {}", minus.string(),
                    other.shape().empty() ? std::string("no mode")
                                          : fmt::format("{}", fmt::join(other.shape(), " x ")),
                    fmt::join(shape, " x "), file.string());
      is_double_ = is_double_ || other.type() == DataType::f64;
    }
    const std::size_t count = shape[1] * shape[2];
    for (std::size_t layer = 0; layer < shape[0]; ++layer) {
      files_->matrices.push_back({"", layer * count, count});
      sites.push_back(
          {fmt::format("layer.{}", layer), MatrixType::q, layer, shape[1], shape[2], heads});
    }
  } else {
    const SafetensorsFile& tensors = files_->tensors.emplace(file);
    if (!minus.empty()) files_->minus_tensors.emplace(minus);
    std::vector<const TensorEntry*> entries;
    for (const TensorEntry& entry : tensors.entries())
      if (entry.shape.size() == 2 && entry.elements() > 0) entries.push_back(&entry);
    if (entries.empty()) throw Error("{}: has no matrix (a tensor of two modes)", file.string());
    std::ranges::sort(entries, {}, &TensorEntry::begin);
    std::set<std::pair<MatrixType, std::size_t>> places;
    bool named = true;
    for (const TensorEntry* entry : entries) {
      const auto check = [&](const fs::path& path, const TensorEntry& each) {
        if (!is_floating(each.type))
          throw Error("{}: tensor {} is of type {}, expected floating point", path.string(),
                      each.name, data_type_name(each.type));
        is_double_ = is_double_ || each.type == DataType::f64;
      };
      check(file, *entry);
      if (!minus.empty()) {
        const TensorEntry& other = files_->minus_tensors->at(entry->name);
        check(minus, other);
        if (other.shape != entry->shape)
          throw Error("{}: tensor {} is {}, expected {} as in {}", minus.string(), entry->name,
                      fmt::join(other.shape, " x "), fmt::join(entry->shape, " x "), file.string());
      }
      const auto projection = read_module_name(module_of(entry->name));
      named = named && projection && places.insert({projection->matrix, projection->layer}).second;
      files_->matrices.push_back({entry->name, 0, 0});
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::string module = module_of(entries[i]->name);
      const auto projection = named ? read_module_name(module) : std::nullopt;
      sites.push_back({module, projection ? projection->matrix : MatrixType::q,
                       projection ? projection->layer : i, entries[i]->shape[0],
                       entries[i]->shape[1], heads});
    }
  }
  std::map<std::string, std::size_t> numbers;
  for (std::size_t i = 0; i < sites.size(); ++i) numbers[sites[i].name] = i;
  stack_ = Stack(std::move(sites));
  for (const Site& site : stack_.sites) order_.push_back(numbers.at(site.name));
}

UpdateFile::~UpdateFile() = default;

std::size_t UpdateFile::size() const {
  std::size_t total = 0;
  for (const Site& site : stack_.sites) total += site.out * site.in;
  return total;
}

template <class T>
std::unique_ptr<UpdateSource<T>> UpdateFile::open(std::size_t limit) const {
  return std::make_unique<FileSource<T, Files>>(*files_, order_, size() * sizeof(T), limit);
}

template std::unique_ptr<UpdateSource<float>> UpdateFile::open(std::size_t) const;
template std::unique_ptr<UpdateSource<double>> UpdateFile::open(std::size_t) const;

}  // namespace rankfold
