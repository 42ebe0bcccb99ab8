"""Protobuf messages and gRPC stubs through Debian's protoc."""

load("//tools/build:cc.bzl", "COPTS")

def slipway_cc_proto_library(name, srcs, deps = [], grpc = False, visibility = None):
    """Generates and compiles `srcs`.

    Args:
      name: the cc_library.
      srcs: .proto files, imported by their path below proto/.
      deps: other slipway_cc_proto_library targets that `srcs` import.
      grpc: whether to generate service stubs too.
      visibility: of the library.
    """
    native.filegroup(
        name = name + "_protos",
        srcs = srcs,
        visibility = ["//visibility:public"],
    )
    stems = [s[:-len(".proto")] for s in srcs]
    headers = [s + ".pb.h" for s in stems]
    sources = [s + ".pb.cc" for s in stems]
    plugin = ""
    if grpc:
        headers += [s + ".grpc.pb.h" for s in stems]
        sources += [s + ".grpc.pb.cc" for s in stems]
        plugin = "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(GENDIR)/proto"
    native.genrule(
        name = name + "_gen",
        srcs = srcs + [d + "_protos_transitive" for d in deps],
        outs = headers + sources,
        cmd = "/usr/bin/protoc -Iproto -I/usr/include --cpp_out=$(GENDIR)/proto %s %s" % (
            plugin,
            " ".join(["$(location %s)" % s for s in srcs]),
        ),
        message = "Generating",
    )
    native.filegroup(
        name = name + "_protos_transitive",
        srcs = srcs + [d + "_protos_transitive" for d in deps],
        visibility = ["//visibility:public"],
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = ["-std=c++20"],
        strip_include_prefix = "/proto",
        visibility = visibility,
        deps = deps + ["//third_party/system:grpc" if grpc else "//third_party/system:protobuf"],
    )
