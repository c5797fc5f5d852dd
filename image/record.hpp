// The small record of a sealed image: all that the rest of orlop ever reads of what an image says about itself.
//
// orlop-image writes it inside its jail; orlopd reads it with from_json(), which believes nothing: every field is
// bounded and checked again, an unknown or missing key is refused. A record is plain data, comparable and printable.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/size.hpp"
#include "base/time.hpp"

namespace orlop::image {

/// Ids inside an image are below this: a container's range has so many (design.md, "Secure by default").
inline constexpr std::uint32_t id_limit = 65536;
/// Users and groups that a record lists at most; the report says when there were more.
inline constexpr std::size_t max_accounts = 4096;
/// Bytes of a record's text at most.
inline constexpr std::size_t max_record_bytes = 4UL << 20;

/// A user as a process runs: numbers, and the words they came from.
struct Identity {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string written;  ///< as the image's config says it: "nginx", "101:101", "postgres:ssl"

  friend bool operator==(const Identity&, const Identity&) = default;
};

/// A line of the image's /etc/passwd.
struct User {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  friend bool operator==(const User&, const User&) = default;
};

/// A line of the image's /etc/group.
struct Group {
  std::string name;
  std::uint32_t gid = 0;

  friend bool operator==(const Group&, const Group&) = default;
};

/// The image's HEALTHCHECK (a Docker extension of the config). A duration of 0 or `retries` 0: the image does not say.
struct Healthcheck {
  std::vector<std::string> command;  ///< argv; a shell form is already {"/bin/sh", "-c", …}; empty: "NONE"
  Duration interval{0};
  Duration timeout{0};
  Duration start_period{0};
  std::uint32_t retries = 0;

  friend bool operator==(const Healthcheck&, const Healthcheck&) = default;
};

/// What sealing changed, left out, or kept without effect.
enum class Finding : std::uint8_t {
  device_dropped,        ///< a character or block device node
  socket_dropped,        ///< a socket
  xattr_dropped,         ///< an extended attribute other than user.* and security.capability
  setuid_inert,          ///< a setuid or setgid bit, kept; containers have no_new_privs and nosuid
  capability_inert,      ///< a security.capability attribute, kept; likewise without effect
  mount_point_replaced,  ///< a standard mount point that was a link or of another type, made afresh
  mount_point_unusable,  ///< a volume of the config that cannot be a directory, left out
  accounts_cut,          ///< /etc/passwd or /etc/group has more lines than a record holds, or lines it cannot read
};
std::string_view to_string(Finding finding);

/// One finding: how often, and the first few places. `examples` name paths (escaped to printable ASCII).
struct ReportItem {
  static constexpr std::size_t max_examples = 8;
  Finding finding = Finding::device_dropped;
  std::uint64_t count = 0;
  std::vector<std::string> examples;

  friend bool operator==(const ReportItem&, const ReportItem&) = default;
};

struct Record {
  Sha256 manifest;       ///< of the image manifest: the image's identity
  std::string name;      ///< for people; follows is_valid_image_name()
  Sha256 config_digest;  ///< of the image's config
  Sha256 seal;           ///< of the whole EROFS file
  Bytes seal_size;       ///< of the EROFS file

  // What the config says, as it says it; empty where it says nothing. No string holds NUL, no path holds "..".
  std::vector<std::string> entrypoint;  ///< argv[0]: absolute, or one name searched in PATH
  std::vector<std::string> command;     ///< appended to the entrypoint; alone it is the argv
  std::vector<std::string> env;         ///< `NAME=value`, no line ends, names unique
  std::string workdir = "/";            ///< absolute, normalised
  std::optional<Identity> user;         ///< nothing: the config names none (Docker and OCI mean 0:0), or user_problem
  std::string user_problem;          ///< why the config's user has no number ("the image names user 'x', …"); tell it
                                     ///< when the image's own user is asked for; empty otherwise
  int stop_signal = 0;               ///< a signal number 1…64; 0: not said
  std::vector<std::string> volumes;  ///< absolute, normalised, sorted; each is also in mount_points unless reported
  std::vector<std::string> exposed_ports;     ///< such as "80/tcp", sorted
  std::map<std::string, std::string> labels;  ///< of the config; the manifest's annotations are not in it
  std::optional<Healthcheck> healthcheck;     ///< nothing: not said

  std::vector<User> users;    ///< the image's own accounts, in the file's order, first line of a name only
  std::vector<Group> groups;  ///< likewise
  /// Where a mount can be attached for certain: the standard ones, volumes and `--mkdir`, sorted. /etc/hosts,
  /// /etc/hostname and /etc/resolv.conf are regular files, all others directories; no component is a link. The image
  /// may have more directories than these.
  std::vector<std::string> mount_points;
  std::vector<ReportItem> report;  ///< in the order of Finding, counts above 0 only

  friend bool operator==(const Record&, const Record&) = default;
};

/// The record as JSON text, the same bytes for the same record.
std::string to_json(const Record& record);
/// Reads what to_json() writes and nothing else. corrupt/… names the key that is wrong.
Result<Record> from_json(std::string_view text);

}  // namespace orlop::image
