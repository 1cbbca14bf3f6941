#include "core/device/buffer.h"

#include <limits>

#include "core/base/error.h"
#include "core/device/device.h"

namespace rankfold {
namespace {

template <class T>
std::span<T> reached(const Device* device, T* data, std::size_t size) {
  if (device) expect_host_memory(*device, "a buffer's memory");
  return {data, size};
}

}  // namespace

void StridedLoop::add(const LoopDimension& dimension) {
  if (count == most) throw Error("a loop nest of more than {} dimensions", most);
  dimensions[count++] = dimension;
}

void expect_host_memory(const Device& device, std::string_view who) {
  if (!device.reaches_host())
    throw Error("{}: the host does this, and does not reach the memory of {}; expected the CPU's",
                who, device.description());
}

template <class T>
Buffer<T>::Buffer(std::shared_ptr<const Device> device, std::size_t size)
    : device_(std::move(device)), size_(size) {
  if (size > std::numeric_limits<std::size_t>::max() / sizeof(T))
    throw Error("out of memory: {} numbers were asked for", size);
  data_ = static_cast<T*>(device_->allocate(size * sizeof(T)));
  device_->fill(size, T{0}, data_);
}

template <class T>
Buffer<T>::Buffer(std::shared_ptr<const Device> device, std::span<const T> values)
    : device_(std::move(device)), size_(values.size()) {
  data_ = static_cast<T*>(device_->allocate(values.size_bytes()));
  device_->upload(values.data(), values.size_bytes(), data_);
}

template <class T>
Buffer<T>::~Buffer() {
  if (data_) device_->release(data_);
}

template <class T>
std::span<T> Buffer<T>::span() {
  return reached(device_.get(), data_, size_);
}

template <class T>
std::span<const T> Buffer<T>::span() const {
  return reached<const T>(device_.get(), data_, size_);
}

template <class T>
HostRead<T>::HostRead(const Device& device, const T* data, std::size_t size) : values_(data, size) {
  if (device.reaches_host()) return;
  copy_.resize(size);
  device.download(data, size * sizeof(T), copy_.data());
  values_ = copy_;
}

template <class T>
HostRead<T>::HostRead(const Buffer<T>& buffer) : values_(buffer.data(), buffer.size()) {
  if (!buffer.device() || buffer.device()->reaches_host()) return;
  copy_.resize(buffer.size());
  buffer.device()->download(buffer.data(), buffer.size() * sizeof(T), copy_.data());
  values_ = copy_;
}

template <class T>
HostWrite<T>::HostWrite(const Device& device, T* data, std::size_t size) : values_(data, size) {
  if (device.reaches_host()) return;
  device_ = &device;
  data_ = data;
  copy_.resize(size);
  device.download(data, size * sizeof(T), copy_.data());
  values_ = copy_;
}

template <class T>
HostWrite<T>::HostWrite(Buffer<T>& buffer) : values_(buffer.data(), buffer.size()) {
  if (!buffer.device() || buffer.device()->reaches_host()) return;
  device_ = buffer.device();
  data_ = buffer.data();
  copy_.resize(buffer.size());
  device_->download(data_, buffer.size() * sizeof(T), copy_.data());
  values_ = copy_;
}

template <class T>
HostWrite<T>::~HostWrite() {
  if (device_) device_->upload(copy_.data(), copy_.size() * sizeof(T), data_);
}

template <class T>
const T* place_on_device(const std::shared_ptr<const Device>& device, std::span<const T> values,
                         std::deque<Buffer<T>>& copies) {
  if (device->reaches_host()) return values.data();
  return copies.emplace_back(device, values).data();
}

template class Buffer<float>;
template class Buffer<double>;
template class HostRead<float>;
template class HostRead<double>;
template class HostWrite<float>;
template class HostWrite<double>;
template const float* place_on_device(const std::shared_ptr<const Device>&, std::span<const float>,
                                      std::deque<Buffer<float>>&);
template const double* place_on_device(const std::shared_ptr<const Device>&,
                                       std::span<const double>, std::deque<Buffer<double>>&);

}  // namespace rankfold
