# A refused write becomes a 503, and pages show a banner for as long as writes are refused.
# include Frostgate in ApplicationController; in the layout: <% if read_only? %>…<% end %>
module Frostgate
  extend ActiveSupport::Concern

  included do
    helper_method :read_only?
    rescue_from ActiveRecord::StatementInvalid do |error|
      raise error unless error.cause.is_a?(PG::ReadOnlySqlTransaction)

      response.headers["Retry-After"] = "60"
      render plain: "Under maintenance: reading only.", status: :service_unavailable
    end
  end

  def read_only?
    @read_only ||= ActiveRecord::Base.connection.select_value("SELECT current_setting('transaction_read_only')") == "on"
  end
end
