// The client's side of the control socket: one typed call for each method of interface.hpp. Blocking, for a
// command-line program.
#pragma once

#include <systemd/sd-bus.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/time.hpp"
#include "supervisor/control/service.hpp"

namespace orlop::control {

/// What an import may be told beside its source.
struct ImportOptions {
  std::string name = {};
  std::string reference = {};
  std::vector<std::string> mkdir = {};
  std::function<void(std::string_view line)> progress = {};  ///< called for each line while the import goes on
};

/// A connection to a supervisor. Calls that only read answer within Client::quick or fail with kernel/ETIMEDOUT; those
/// that reach a state (apply, import, start, stop, restart, kill, wait, shutdown) wait as long as it takes. Errors are
/// the supervisor's own (from_bus()), or kernel/… when the connection broke.
class Client {
 public:
  static constexpr Duration quick = std::chrono::seconds(30);

  /// Connects and authenticates. not_found/… without a socket, conflict/… when nobody serves it, denied/… without the
  /// right to it, limit/… when the supervisor closed the connection at once (no role or no place), kernel/ETIMEDOUT
  /// after `timeout`.
  static Result<Client> connect(const std::string& socket_path, Duration timeout = std::chrono::seconds(5));

  Result<std::string> apply(BorrowedFd file, const std::string& file_name, bool dry_run);
  Result<std::string> import_image(BorrowedFd source, ImageSource kind, const ImportOptions& options);
  Result<std::string> list_images();
  Result<std::string> inspect_image(const std::string& image);
  Result<void> remove_image(const std::string& image);
  Result<std::string> list_volumes();
  Result<std::string> inspect_volume(const std::string& volume);
  Result<void> remove_volume(const std::string& volume);
  Result<std::string> status();
  Result<std::string> effective();
  Result<Files> audit_files();
  Result<void> shutdown();

  /// not_found/… without such a container; config/… when `container` is no name at all. So for all below.
  Result<void> start(const std::string& container);
  Result<void> stop(const std::string& container);
  Result<void> restart(const std::string& container);
  Result<void> kill(const std::string& container, const std::string& signal);
  Result<Exit> wait(const std::string& container);
  Result<std::string> inspect(const std::string& container);
  Result<std::string> plan(const std::string& container);
  Result<Files> log_files(const std::string& container);

 private:
  struct Close {
    void operator()(sd_bus* bus) const noexcept { sd_bus_close_unref(bus); }
  };
  explicit Client(sd_bus* bus) : bus_(bus) {}

  std::unique_ptr<sd_bus, Close> bus_;
};

}  // namespace orlop::control
