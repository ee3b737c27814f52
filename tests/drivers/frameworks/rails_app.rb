# A site in Rails that reads and writes, with the concern of docs/CLIENTS.md.
require "logger"
require "rails"
require "action_controller/railtie"
require "active_record/railtie"
require "rack/mock"
ENV["DATABASE_URL"] = format("postgresql://%s:%s@%s:%s/%s?pool=2",
                             *ENV.values_at("PGUSER", "PGPASSWORD", "PGHOST", "PGPORT", "PGDATABASE"))
ENV["RAILS_ENV"] = "production"

class Site < Rails::Application
  config.root = __dir__
  config.eager_load = false
  config.logger = Logger.new(File::NULL)
  config.secret_key_base = "only for this"
  config.hosts.clear
  routes.append { resources :notes, only: %i[index create] }
end

require_relative "rails_frostgate"
Site.initialize!

class Note < ActiveRecord::Base
end

class NotesController < ActionController::Base
  include Frostgate

  def index
    @notes = Note.all.to_a
    render inline: "<% if read_only? %><p class=banner>Under maintenance.</p><% end %><%= @notes.size %> notes"
  end

  def create
    Note.create!(body: params[:body])
    head :created
  end
end

site = Rack::MockRequest.new(Site)
get = lambda do |at|
  answer = site.get("/notes")
  puts "#{at}: #{answer.status} #{answer.body.split('>').last}#{', with a banner' if answer.body.include?('banner')}"
end
post = lambda do |at, body|
  answer = site.post("/notes", params: { body: body })
  puts "#{at}: #{answer.status}#{" Retry-After #{answer['Retry-After']}" if answer['Retry-After']}"
end
turn = ->(command) { system(ENV.fetch(command), out: File::NULL, exception: true) }

get.call "open, GET"
post.call "open, POST", "before"
if ARGV[0] == "frozen"
  turn.call "FREEZE"
  get.call "frozen, GET"
  post.call "frozen, POST", "refused"
  get.call "frozen, GET after it"
  turn.call "THAW"
end
post.call "thawed, POST", "after"
post.call "thawed, POST again", "after, in the pool"
get.call "thawed, GET"
