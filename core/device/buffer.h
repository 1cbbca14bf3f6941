#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace rankfold {

class Device;

/// Memory of a device, released with the object. What `data` points at is the device's: the host
/// reads and writes it by HostRead and HostWrite.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  /// `size` zeros.
  Buffer(std::shared_ptr<const Device> device, std::size_t size);
  /// A copy of the host's numbers.
  Buffer(std::shared_ptr<const Device> device, std::span<const T> values);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  /// The memory itself. Throws Error where the host does not reach it.
  std::span<T> span();
  std::span<const T> span() const;
  /// Null of an empty one.
  const Device* device() const { return device_.get(); }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  std::shared_ptr<const Device> device_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Numbers of a device for the host to read: the memory itself where the host reaches it, else a
/// copy of what it holds now: read it before anything changes it.
template <class T>
class HostRead {
 public:
  HostRead(const Device& device, const T* data, std::size_t size);
  explicit HostRead(const Buffer<T>& buffer);
  HostRead(const HostRead&) = delete;
  HostRead& operator=(const HostRead&) = delete;

  std::span<const T> span() const { return values_; }
  const T* data() const { return values_.data(); }
  std::size_t size() const { return values_.size(); }
  const T* begin() const { return values_.data(); }
  const T* end() const { return values_.data() + values_.size(); }
  const T& operator[](std::size_t index) const { return values_[index]; }

 private:
  std::vector<T> copy_;
  std::span<const T> values_;
};

/// The same for the host to read and change: a copy goes back to the device at the object's end.
template <class T>
class HostWrite {
 public:
  HostWrite(const Device& device, T* data, std::size_t size);
  explicit HostWrite(Buffer<T>& buffer);
  ~HostWrite();
  HostWrite(const HostWrite&) = delete;
  HostWrite& operator=(const HostWrite&) = delete;

  std::span<T> span() const { return values_; }
  T* data() const { return values_.data(); }
  std::size_t size() const { return values_.size(); }
  T* begin() const { return values_.data(); }
  T* end() const { return values_.data() + values_.size(); }
  T& operator[](std::size_t index) const { return values_[index]; }

 private:
  const Device* device_ = nullptr;
  T* data_ = nullptr;
  std::vector<T> copy_;
  std::span<T> values_;
};

/// The numbers as a device reads them: where it reaches the host's memory they stay where they are
/// (a mapped file, say), else a copy of them is kept in `copies`.
template <class T>
const T* place_on_device(const std::shared_ptr<const Device>& device, std::span<const T> values,
                         std::deque<Buffer<T>>& copies);

}  // namespace rankfold
