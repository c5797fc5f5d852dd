// What stands behind the bus: plain C++ that knows nothing of D-Bus. orlopd implements Service; the server in this
// folder calls it, from the event loop's thread alone, with arguments already checked for form and with the caller
// already allowed to make the call.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/control/interface.hpp"

namespace orlop::control {

/// Who is on the other end, as the kernel says (unix(7), SO_PEERCRED): fixed when it connected.
struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::string executable = {};  ///< target of /proc/PID/exe; empty when it cannot be told for certain
  Role role = Role::reader;
};

/// The answer that a caller waits for. Move-only; answer it at once or keep it and answer later. One that is destroyed
/// unanswered tells the caller so: no call hangs because it was forgotten.
template <class T>
class Reply {
 public:
  using Send = std::move_only_function<void(Result<T>)>;
  /// @param send     called at most once
  /// @param waiting  expires when nobody waits for the answer any more
  Reply(Send send, std::weak_ptr<const void> waiting) : send_(std::move(send)), waiting_(std::move(waiting)) {}
  Reply(Reply&& other) noexcept : send_(std::exchange(other.send_, {})), waiting_(std::move(other.waiting_)) {}
  Reply& operator=(Reply&& other) noexcept {
    std::swap(send_, other.send_);
    std::swap(waiting_, other.waiting_);
    return *this;
  }
  ~Reply() {
    if (send_) answer(fail(ErrorKind::internal, "the supervisor dropped this call without an answer"));
  }

  /// Sends the answer. Does nothing when the caller has gone or has been answered.
  void answer(Result<T> result) {
    if (Send send = std::exchange(send_, {})) send(std::move(result));
  }
  /// Whether someone still waits. Prune lists of kept replies by it: a client may connect, wait and leave for ever.
  [[nodiscard]] bool is_awaited() const { return send_ && !waiting_.expired(); }

 private:
  Send send_;
  std::weak_ptr<const void> waiting_;
};

struct ApplyRequest {
  UniqueFd file;          ///< a regular file; read it by pread from offset 0
  std::string file_name;  ///< as the operator wrote it, for messages; no control characters
  bool dry_run = false;
};

enum class ImageSource : std::uint8_t { layout, archive };

struct ImportRequest {
  UniqueFd source;  ///< a directory for layout, a regular file for archive
  ImageSource kind = ImageSource::layout;
  std::string name = {};                ///< the name for people; empty: from the image
  std::string reference = {};           ///< which image of the layout's index; empty: the only one
  std::vector<std::string> mkdir = {};  ///< paths to add at sealing, not yet parsed
  UniqueFd progress = {};               ///< a pipe for lines of text, set not to block; may be none
};

/// How a container ended.
struct Exit {
  int exit_code = 0;
  std::string reason = {};
};

/// Open files for a reader, and a JSON document that says what each is. At most max_reply_fds.
struct Files {
  std::string json = {};
  std::vector<UniqueFd> files = {};
};

/// The properties of org.orlop.Supervisor1.
struct SupervisorView {
  std::string version = {};
  std::string name = {};
  std::string state = {};  ///< "running", "hands-off", …
  std::map<std::string, std::string> labels = {};
};

/// The properties of org.orlop.Container1.
struct ContainerView {
  std::string name = {};
  std::string state = {};
  std::string health = {};
  pid_t pid = 0;                   ///< 0: no process
  std::uint64_t started_usec = 0;  ///< since 1970-01-01 UTC; 0: never
  std::uint32_t restarts = 0;
  std::optional<int> exit_code = {};  ///< nothing: it has not ended yet; 0 on the bus
  std::string reason = {};
  std::string image = {};
  std::uint64_t start_number = 0;
};

/// Implemented by orlopd. A Peer is valid during the call only: copy what the audit record needs. No call may block;
/// each answers its Reply now or later.
class Service {
 public:
  virtual ~Service() = default;

  virtual void apply(const Peer& peer, ApplyRequest request, Reply<std::string> reply) = 0;
  virtual void import_image(const Peer& peer, ImportRequest request, Reply<std::string> reply) = 0;
  virtual void list_images(const Peer& peer, Reply<std::string> reply) = 0;
  /// @param image  1 to 512 printable ASCII characters, not yet parsed
  virtual void inspect_image(const Peer& peer, std::string image, Reply<std::string> reply) = 0;
  virtual void remove_image(const Peer& peer, std::string image, Reply<void> reply) = 0;
  virtual void list_volumes(const Peer& peer, Reply<std::string> reply) = 0;
  /// @pre is_valid_name(volume); so for every volume and container below
  virtual void inspect_volume(const Peer& peer, std::string volume, Reply<std::string> reply) = 0;
  virtual void remove_volume(const Peer& peer, std::string volume, Reply<void> reply) = 0;
  virtual void status(const Peer& peer, Reply<std::string> reply) = 0;
  virtual void effective(const Peer& peer, Reply<std::string> reply) = 0;
  virtual void audit_files(const Peer& peer, Reply<Files> reply) = 0;
  virtual void shutdown(const Peer& peer, Reply<void> reply) = 0;

  /// @pre find(container) gave a view, for this and all below
  virtual void start(const Peer& peer, std::string container, Reply<void> reply) = 0;
  virtual void stop(const Peer& peer, std::string container, Reply<void> reply) = 0;
  virtual void restart(const Peer& peer, std::string container, Reply<void> reply) = 0;
  /// @param signal  as written: "SIGTERM", "TERM" or a number; 1 to 32 printable ASCII characters, not yet parsed
  virtual void kill(const Peer& peer, std::string container, std::string signal, Reply<void> reply) = 0;
  virtual void wait(const Peer& peer, std::string container, Reply<Exit> reply) = 0;
  virtual void inspect(const Peer& peer, std::string container, Reply<std::string> reply) = 0;
  virtual void plan(const Peer& peer, std::string container, Reply<std::string> reply) = 0;
  virtual void log_files(const Peer& peer, std::string container, Reply<Files> reply) = 0;

  // What the properties show. Asked for at any time, so they must be cheap.
  [[nodiscard]] virtual SupervisorView view() const = 0;
  [[nodiscard]] virtual std::vector<std::string> containers() const = 0;
  [[nodiscard]] virtual std::optional<ContainerView> find(std::string_view container) const = 0;

  /// A peer was refused `what` ("connect", or a method such as "org.orlop.Container1.Stop web"): for the audit record,
  /// which limits their rate.
  virtual void refused(const Peer& peer, const std::string& what) = 0;
};

}  // namespace orlop::control
