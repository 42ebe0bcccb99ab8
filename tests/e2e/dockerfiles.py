"""Dockerfiles like those of well-known projects, written for this table: `base:1` is busybox, and what would be
downloaded and compiled is made by a line of shell. Each is a text and the files beside it."""

DOCKERFILES = {
    "redis": ("""
FROM base:1
RUN echo 'redis:x:999:999::/data:/bin/sh' >> /etc/passwd && echo 'redis:x:999:' >> /etc/group
ENV GOSU_VERSION 1.17
ENV REDIS_VERSION=7.2.4 REDIS_DOWNLOAD_URL="http://download.example/redis-$GOSU_VERSION.tar.gz"
RUN set -eux; mkdir -p /usr/local/bin; echo "$REDIS_VERSION" > /usr/local/bin/redis-server; mkdir /data && chown 999:999 /data
VOLUME /data
WORKDIR /data
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
""", {"docker-entrypoint.sh": ("#!/bin/sh\nexec \"$@\"\n", 0o755)}),
    "nginx": ("""
FROM base:1
LABEL maintainer="NGINX Docker Maintainers <docker-maint@example.com>"
ENV NGINX_VERSION   1.25.4
ENV PKG_RELEASE     1~bookworm
RUN mkdir -p /var/log/nginx /usr/share/nginx/html \\
# forward request and error logs to docker log collector
    && ln -sf /dev/stdout /var/log/nginx/access.log \\
    && ln -sf /dev/stderr /var/log/nginx/error.log \\
    && mkdir /docker-entrypoint.d
COPY docker-entrypoint.sh /
COPY 10-listen.sh 20-envsubst.sh /docker-entrypoint.d/
COPY html /usr/share/nginx/html
EXPOSE 80
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
""", {"docker-entrypoint.sh": ("#!/bin/sh\n", 0o755), "10-listen.sh": "a\n", "20-envsubst.sh": "b\n",
      "html/index.html": "<h1>hi</h1>\n", "html/css/site.css": "p{}\n"}),
    "postgres": ("""
FROM base:1
RUN set -eux; echo 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >> /etc/passwd; mkdir -p /var/lib/postgresql; \\
    chown -R 999:999 /var/lib/postgresql
ENV LANG en_US.utf8
RUN mkdir /docker-entrypoint-initdb.d
ENV PG_MAJOR 16
ENV PATH $PATH:/usr/lib/postgresql/$PG_MAJOR/bin
ENV PGDATA /var/lib/postgresql/data
RUN mkdir -p "$PGDATA" && chown -R 999:999 "$PGDATA" && chmod 1777 "$PGDATA"
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
""", {}),
    "node-app": ("""
FROM base:1
WORKDIR /usr/src/app
COPY package*.json ./
RUN mkdir node_modules && cat package.json > node_modules/.installed
COPY . .
ENV NODE_ENV=production PORT=8080
USER 1000
EXPOSE 8080
CMD [ "node", "server.js" ]
""", {"package.json": "{}\n", "package-lock.json": "{}\n", "server.js": "x\n", "lib/a.js": "y\n",
      ".dockerignore": "node_modules\n*.md\n!README.md\n", "README.md": "r\n", "notes.md": "n\n",
      "node_modules/junk.js": "no\n"}),
    "python-flask": ("""
FROM base:1
ENV PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1
WORKDIR /app
ADD requirements.txt /app/
RUN wc -l < requirements.txt > /installed
ADD . /app
HEALTHCHECK --interval=30s --timeout=3s --retries=2 CMD wget -q -O- http://localhost:5000/ || exit 1
CMD python app.py
""", {"requirements.txt": "flask\n", "app.py": "print()\n"}),
    "go-multi-stage": ("""
FROM base:1 AS build
WORKDIR /src
COPY go.mod main.go ./
RUN mkdir /out && cat main.go > /out/app && chmod 755 /out/app
FROM scratch
COPY --from=build /out/app /app
USER 65534:65534
ENTRYPOINT ["/app"]
""", {"go.mod": "module x\n", "main.go": "package main\n"}),
    "rust-multi-stage": ("""
ARG VERSION=1
FROM base:${VERSION} AS planner
WORKDIR /recipe
COPY Cargo.toml .
RUN cp Cargo.toml recipe.json
FROM base:$VERSION AS builder
COPY --from=planner /recipe/recipe.json /recipe.json
RUN mkdir -p /target/release && cp /recipe.json /target/release/tool
FROM base:1
COPY --from=builder /target/release/tool /usr/local/bin/
CMD ["tool"]
""", {"Cargo.toml": "[package]\n"}),
    "maven": ("""
FROM base:1 AS maven
COPY pom.xml /build/
COPY src /build/src/
WORKDIR /build/
RUN mkdir target && cat src/main/App.java pom.xml > target/app.jar
FROM base:1
ARG JAR=app.jar
ENV JAVA_OPTS=""
COPY --from=maven /build/target/${JAR} /opt/
WORKDIR /opt
ENTRYPOINT exec java $JAVA_OPTS -jar app.jar
""", {"pom.xml": "<p/>\n", "src/main/App.java": "class A{}\n"}),
    "php-apache": ("""
FROM base:1
ENV PHP_INI_DIR /usr/local/etc/php
RUN set -eux; mkdir -p "$PHP_INI_DIR/conf.d"; [ ! -d /var/www/html ]; mkdir -p /var/www/html; chown 33:33 /var/www/html; chmod 1777 /var/www/html
ENV PHP_CFLAGS="-fstack-protector-strong -fpic"
ENV PHP_CPPFLAGS="$PHP_CFLAGS"
COPY --chown=www-data:www-data *.php /var/www/html/
STOPSIGNAL SIGWINCH
WORKDIR /var/www/html
CMD ["apache2-foreground"]
""", {"index.php": "<?php\n", "info.php": "<?php\n", "ignored.txt": "x\n"}),
    "ruby-rails": ("""
FROM base:1
SHELL ["/bin/sh", "-eu", "-c"]
RUN mkdir -p /rails && echo gem > /rails/Gemfile.lock
WORKDIR /rails
ENV RAILS_ENV="production" \\
    BUNDLE_PATH="/usr/local/bundle"
COPY . .
RUN echo 'rails:x:1000:1000::/rails:/bin/sh' >> /etc/passwd && mkdir log tmp && chown -R 1000:1000 log tmp
USER rails
ENTRYPOINT ["/rails/bin/docker-entrypoint"]
EXPOSE 3000
CMD ["./bin/rails", "server"]
""", {"bin/docker-entrypoint": ("#!/bin/sh\n", 0o755), "bin/rails": ("#!/bin/sh\n", 0o755), "Gemfile": "x\n"}),
    "memcached": ("""
FROM base:1
RUN echo 'memcache:x:11211:11211::/:/bin/false' >> /etc/passwd
COPY docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN ln -s usr/local/bin/docker-entrypoint.sh /entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
USER memcache
EXPOSE 11211
CMD ["memcached"]
""", {"docker-entrypoint.sh": ("#!/bin/sh\n", 0o775)}),
    "caddy": ("""
FROM base:1
RUN mkdir -p /config/caddy /data/caddy /etc/caddy /usr/share/caddy
ENV CADDY_VERSION v2.7.6
ENV XDG_CONFIG_HOME /config
ENV XDG_DATA_HOME /data
LABEL org.opencontainers.image.version=v2.7.6
LABEL org.opencontainers.image.title=Caddy \\
      org.opencontainers.image.url="https://caddy.example"
EXPOSE 80
EXPOSE 443
EXPOSE 443/udp
EXPOSE 2019
WORKDIR /srv
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile"]
""", {}),
    "prometheus": ("""
ARG ARCH="amd64"
ARG OS="linux"
FROM base:1
LABEL maintainer="The Prometheus Authors"
ARG ARCH="amd64"
ARG OS="linux"
COPY .build/${OS}-${ARCH}/prometheus /bin/prometheus
COPY prometheus.yml /etc/prometheus/prometheus.yml
COPY console_libraries/ /usr/share/prometheus/console_libraries/
WORKDIR /prometheus
RUN ln -s /usr/share/prometheus/console_libraries /etc/prometheus/ && chown -R nobody:nogroup /etc/prometheus /prometheus
USER nobody
EXPOSE 9090
VOLUME [ "/prometheus" ]
ENTRYPOINT [ "/bin/prometheus" ]
CMD [ "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus" ]
""", {".build/linux-amd64/prometheus": ("x\n", 0o755), "prometheus.yml": "global:\n",
      "console_libraries/menu.lib": "m\n"}),
    "registry": ("""
FROM base:1
RUN mkdir -p /etc/docker/registry
COPY ./registry /bin/registry
COPY ./config-example.yml /etc/docker/registry/config.yml
VOLUME ["/var/lib/registry"]
EXPOSE 5000
ENTRYPOINT ["registry"]
CMD ["serve", "/etc/docker/registry/config.yml"]
""", {"registry": ("x\n", 0o755), "config-example.yml": "v\n"}),
    "hello-world": ("""
FROM scratch
COPY hello /
CMD ["/hello"]
""", {"hello": ("hi\n", 0o711)}),
    "grafana": ("""
FROM base:1
ARG GF_UID="472"
ARG GF_GID="0"
ENV PATH="/usr/share/grafana/bin:$PATH" \\
    GF_PATHS_DATA="/var/lib/grafana" \\
    GF_PATHS_HOME="/usr/share/grafana"
WORKDIR $GF_PATHS_HOME
COPY conf ./conf
RUN mkdir -p "$GF_PATHS_DATA" && cp conf/sample.ini conf/ldap.toml && chown -R "$GF_UID:$GF_GID" "$GF_PATHS_DATA" && \\
    chmod -R 777 "$GF_PATHS_DATA"
EXPOSE 3000
USER "$GF_UID"
ENTRYPOINT [ "/run.sh" ]
""", {"conf/sample.ini": "s\n", "conf/provisioning/x.yaml": "y\n"}),
    "jenkins": ("""
FROM base:1
ARG user=jenkins
ARG uid=1000
ARG JENKINS_HOME=/var/jenkins_home
ENV JENKINS_HOME $JENKINS_HOME
RUN mkdir -p $JENKINS_HOME && chown ${uid}:${uid} $JENKINS_HOME && echo "${user}:x:${uid}:${uid}::$JENKINS_HOME:/bin/sh" >> /etc/passwd
VOLUME $JENKINS_HOME
USER ${user}
ENV JENKINS_SLAVE_AGENT_PORT=${agent_port:-50000}
EXPOSE ${JENKINS_SLAVE_AGENT_PORT}
""", {}),
    "vault": ("""
FROM base:1
ARG NAME
ARG VERSION=1.15
LABEL name="Vault" version=${VERSION} release="${VERSION}-rc" summary="Vault is a tool for
secrets"
ENV NAME=$NAME
RUN mkdir -p /vault/logs /vault/file && chmod 750 /vault/file
VOLUME /vault/logs
VOLUME /vault/file
EXPOSE 8200
CMD ["server", "-dev"]
""".replace("for\nsecrets", "for secrets"), {}),
    "kafka": ("""
FROM base:1
ENV KAFKA_HOME=/opt/kafka
ADD kafka.tar.gz /opt/
RUN ls /opt/kafka-3.6/bin > /opt/list
COPY *.sh /usr/bin/
WORKDIR ${KAFKA_HOME:-/none}/config
CMD ["start-kafka.sh"]
""", {"kafka.tar.gz": {"kafka-3.6/bin/run.sh": "r\n", "kafka-3.6/LICENSE": "l\n"}, "start-kafka.sh": ("s\n", 0o755)}),
    "wordpress": ("""
FROM base:1
RUN set -eux; mkdir -p /usr/src/wordpress/wp-content; \\
	for dir in plugins themes; do \\
		mkdir /usr/src/wordpress/wp-content/$dir; \\
	done; \\
	chmod -R 1777 /usr/src/wordpress/wp-content
COPY --chown=33:33 wp-config.php /usr/src/wordpress/
COPY apache.conf /etc/apache2/sites/000.conf
VOLUME /var/www/html
""", {"wp-config.php": "<?php\n", "apache.conf": "c\n"}),
    "onbuild-parent": ("""
FROM base:1
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD COPY package.json /usr/src/app/
ONBUILD RUN cat package.json
CMD [ "npm", "start" ]
""", {}),
    "escape-backtick": ("""# escape=`
FROM base:1
RUN echo one `
 && echo two > /two
ENV path=c:\\dir
CMD echo `$HOME
""", {}),
    "maintainer": ("""
FROM base:1
MAINTAINER Jane Doe <jane@example.com>
ADD start.sh /
CMD /start.sh
""", {"start.sh": ("#!/bin/sh\n", 0o700)}),
    "symlinks": ("""
FROM base:1
RUN mkdir -p /usr/lib/real && ln -s usr/lib /lib && ln -s /usr/lib/real /usr/link
COPY a.so /lib/
COPY a.so /usr/link/b.so
COPY tree /lib/tree
RUN ls -l /lib/ | wc -l > /count
""", {"a.so": "a\n", "tree/link": ("->", "../a.so"), "tree/file": ("f\n", 0o600)}),
    "directories": ("""
FROM base:1
RUN chmod 1777 /tmp && mkdir -m 700 /private && chown 5:6 /private
COPY a /tmp/
COPY a /private/
COPY d /private/deep/er
COPY d/x d/y /many/
COPY a /renamed
COPY [ "with space", "/sp ace/" ]
""", {"a": "a\n", "d/x": ("x\n", 0o755), "d/y": "y\n", "with space": "s\n"}),
    "deletes": ("""
FROM base:1
RUN mkdir /gone /kept && echo 1 > /gone/a && echo 2 > /kept/b
RUN rm -r /gone && rm /kept/b && mkdir /gone && echo 3 > /gone/c
RUN rm /etc/group && ln -s passwd /etc/group
""", {}),
    "mysql": ("""
FROM base:1
RUN mkdir -p /var/lib/mysql /var/run/mysqld && chown -R 999:999 /var/lib/mysql /var/run/mysqld && chmod 1777 /var/run/mysqld
VOLUME /var/lib/mysql
COPY config/ /etc/mysql/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 3306 33060
CMD ["mysqld"]
""", {"config/conf.d/docker.cnf": "[mysqld]\n", "config/my.cnf": "!\n"}),
    "haproxy": ("""
FROM base:1
STOPSIGNAL SIGUSR1
HEALTHCHECK NONE
LABEL "quoted name"="quoted \\"value\\"" other=plain
ENV HAPROXY_URL https://www.haproxy.example/$HOME
USER 99
WORKDIR /var/lib/haproxy
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
""", {}),
    "minio": ("""
FROM base:1 as build
RUN echo bin > /minio && echo lic > /LICENSE
FROM base:1
ENV MINIO_ACCESS_KEY_FILE=access_key
COPY --from=build /minio /LICENSE /opt/bin/
COPY --from=0 /LICENSE /licenses/LICENSE
COPY --from=base:1 /etc/passwd /etc/passwd.base
EXPOSE 9000
CMD ["minio"]
""", {}),
    "zookeeper": ("""
FROM base:1
ENV ZOO_CONF_DIR=/conf \\
    ZOO_DATA_DIR=/data
# A comment between
RUN set -eux; \\
    mkdir -p "$ZOO_CONF_DIR" "$ZOO_DATA_DIR"; \\
    \\
    chown 1000 "$ZOO_CONF_DIR"
WORKDIR app
WORKDIR sub/dir
RUN pwd > /where
EXPOSE 2181 2888 3888 8080
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["zkServer.sh", "start-foreground"]
""", {}),
}
